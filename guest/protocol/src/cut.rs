//! Cuts long lists of numbers out of JSON.
//!
//! A parser of JSON looks at every byte of a list to find its end, and afterwards each number is read once more. Lists of numbers are all but a few
//! bytes of a request, so they are taken out before it is parsed, and are checked when they are read:
//!
//! ```text
//! {"inputs":[{"name":"x","shape":[1,150528],"datatype":"FP32","data":[0.1, 0.2, …]}]}
//! {"inputs":[{"name":"x","shape":[1,150528],"datatype":"FP32","data":0}]}                 text
//!                                                                   [0.1, 0.2, …]         list
//! ```

use std::cell::Cell;

use memchr::{memchr, memchr2, memchr3};

/// Shorter lists stay where they are.
const MIN_BYTES: usize = 256;

/// What stands where a list was.
const PLACEHOLDER: u8 = b'0';

/// JSON without its long lists, and these.
///
/// It is as valid as what it was made of if every list is.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    text: Vec<u8>,
    /// The lists, and where in `text` each was, in this order.
    lists: Vec<(usize, &'a str)>,
    /// How many of them were asked for.
    found: Cell<usize>,
}

impl<'a> Cut<'a> {
    /// Cuts the lists out of what is perhaps JSON; `None` if there are none.
    pub(super) fn new(json: &'a [u8]) -> Option<Self> {
        let mut text = vec![];
        let mut lists = vec![];
        let (mut position, mut copied) = (0, 0);
        while let Some((string, end)) = next_string(json, position) {
            position = end;
            if string != b"data" {
                continue;
            }
            let Some(begin) = list_behind_colon(json, position) else {
                continue;
            };
            let Some(end) = list_end(json, begin) else {
                continue;
            };
            position = end;
            if end - begin >= MIN_BYTES
                && let Ok(list) = str::from_utf8(&json[begin..end])
            {
                text.extend_from_slice(&json[copied..begin]);
                lists.push((text.len(), list));
                text.push(PLACEHOLDER);
                copied = end;
            }
        }
        text.extend_from_slice(&json[copied..]);
        let found = Cell::new(0);
        (!lists.is_empty()).then_some(Self { text, lists, found })
    }

    /// Returns the JSON without the lists.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the list that was at this value of the text, if there was one.
    pub(super) fn find(&self, value: &str) -> Option<&'a str> {
        let offset = value
            .as_ptr()
            .addr()
            .wrapping_sub(self.text.as_ptr().addr());
        let index = self
            .lists
            .binary_search_by_key(&offset, |&(offset, _)| offset);
        let (_, list) = self.lists[index.ok()?];
        self.found.update(|found| found + 1);
        Some(list)
    }

    /// Reports whether every list was asked for, so that none is left that nobody has read.
    pub(super) fn is_found(&self) -> bool {
        self.found.get() == self.lists.len()
    }
}

/// Returns the next string from a position on, and where it ends.
fn next_string(json: &[u8], position: usize) -> Option<(&[u8], usize)> {
    let begin = position + memchr(b'"', &json[position..])? + 1;
    let mut end = begin;
    loop {
        end += memchr2(b'"', b'\\', json.get(end..)?)?;
        if json[end] == b'"' {
            return Some((&json[begin..end], end + 1));
        }
        end += 2;
    }
}

/// Returns where a list begins, if there are a colon and a list.
fn list_behind_colon(json: &[u8], position: usize) -> Option<usize> {
    let colon = skip_white(json, position);
    let list = skip_white(json, colon + 1);
    (json.get(colon) == Some(&b':') && json.get(list) == Some(&b'[')).then_some(list)
}

fn skip_white(json: &[u8], position: usize) -> usize {
    let rest = json.get(position..).unwrap_or_default();
    let white = rest.iter().take_while(|byte| b" \n\t\r".contains(byte));
    position + white.count()
}

/// Returns where a list ends, if there are no strings in it.
fn list_end(json: &[u8], begin: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut position = begin;
    loop {
        position += memchr3(b'[', b']', b'"', &json[position..])?;
        match json[position] {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => return None,
        }
        position += 1;
        if depth == 0 {
            return Some(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(json: &str) -> Option<(String, Vec<&str>)> {
        let cut = Cut::new(json.as_bytes())?;
        let lists = cut.lists.iter().map(|&(_, list)| list).collect();
        Some((String::from_utf8(cut.text).unwrap(), lists))
    }

    #[test]
    fn long_lists_of_data_are_cut() {
        let flat = format!("[{}1]", "1, ".repeat(100));
        let nested = format!("[{flat},\n {flat}]");
        let json = format!(
            r#"{{"a\"data":{flat},"shape":{flat},"data" : {flat},"b":[{{"data":{nested}}}]}} "#
        );
        let text = format!(r#"{{"a\"data":{flat},"shape":{flat},"data" : 0,"b":[{{"data":0}}]}} "#);
        assert_eq!(
            cut(&json),
            Some((text, vec![flat.as_str(), nested.as_str()]))
        );
    }

    #[test]
    fn nothing_else_is() {
        let long = "1, ".repeat(100);
        for json in [
            String::new(),
            r#"{"data":[1,2,3]}"#.into(),
            format!(r#"{{"data":[{long}"1"]}}"#),
            format!(r#"{{"data":[{long}"#),
            format!(r#"{{"data":[[{long}1]"#),
            format!(r#"{{"d\u0061ta":[{long}1]}}"#),
            format!(r#"{{"\\":"data","data\\":[{long}1]}}"#),
            format!(r#"{{"data"[{long}1]}}"#),
            format!(r#"{{"data":[{long}1"#),
            format!(r#"{{"data:[{long}1]}}"#),
            r#""data":"#.into(),
            r#"{"data":[\"#.into(),
            r#"{"data\"#.into(),
        ] {
            assert_eq!(cut(&json), None, "{json}");
        }
    }

    #[test]
    fn lists_are_found_by_where_they_were() {
        let list = format!("[{}1]", "1,".repeat(200));
        let json = format!(r#"{{"data":{list},"data":{list},"c":0}}"#);
        let cut = Cut::new(json.as_bytes()).unwrap();
        let text = str::from_utf8(cut.text()).unwrap();
        let mut zeros = text
            .match_indices('0')
            .map(|(at, zero)| cut.find(&text[at..at + zero.len()]));
        assert!(!cut.is_found());
        assert_eq!(zeros.next(), Some(Some(list.as_str())));
        assert_eq!(zeros.next(), Some(Some(list.as_str())));
        assert!(cut.is_found());
        assert_eq!(zeros.next(), Some(None));
        assert_eq!(cut.find("0"), None, "a text from elsewhere");
    }
}
