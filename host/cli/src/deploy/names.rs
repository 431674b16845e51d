//! Names as Spin and Kubernetes demand them.

/// The longest name of an application that is made of a model's. It becomes that of a Service of Kubernetes, which has 63 characters at most.
const MAX_APP_NAME_LEN: usize = 50;

/// Reports whether a text is words of lower-case letters and digits, each beginning with a letter, joined by `-`.
///
/// That is an id of a component for every version of Spin, and the name of a Service for Kubernetes.
pub(crate) fn is_kebab_case(text: &str) -> bool {
    text.split('-').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

/// Returns an id for each name, in order. What cannot be in one separates words; a word that begins with a digit gets an `n` before it, and an id that is
/// taken a number behind it.
pub(super) fn ids<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut ids: Vec<String> = vec![];
    for name in names {
        let id = id(name);
        let numbered = (2..).map(|number| format!("{id}-n{number}"));
        let free = std::iter::once(id.clone())
            .chain(numbered)
            .find(|id| !ids.contains(id));
        ids.push(free.expect("there are more numbers than names"));
    }
    ids
}

fn id(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        match word.starts_with(|c: char| c.is_ascii_digit()) {
            true => format!("n{word}"),
            false => word.to_owned(),
        }
    });
    let id = words.collect::<Vec<_>>().join("-");
    match id.is_empty() {
        true => "model".into(),
        false => id,
    }
}

/// Returns the name of an application of one model, given the id of its component.
pub(super) fn app_name(id: &str) -> String {
    let cut = id.get(..MAX_APP_NAME_LEN).unwrap_or(id);
    cut.trim_end_matches('-').into()
}

/// Returns a version of a model as one of three numbers; 0.1.0 if it is another text.
pub(super) fn semver(version: &str) -> String {
    let number = |part: &str| part.parse::<u32>().ok().map(|number| number.to_string());
    let parts: Option<Vec<String>> = version.split('.').map(number).collect();
    match parts {
        Some(mut parts) if parts.len() <= 3 => {
            parts.resize(3, "0".into());
            parts.join(".")
        }
        _ => "0.1.0".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        let cases = [
            ("magika", "magika"),
            ("efficientnet-lite0", "efficientnet-lite0"),
            ("YOLO_v8.2", "yolo-v8-n2"),
            ("3d--net.", "n3d-net"),
            ("..._", "model"),
            ("naïve", "na-ve"),
        ];
        for (name, expected) in cases {
            assert_eq!(ids([name]), [expected], "of {name:?}");
            assert!(is_kebab_case(expected), "{expected}");
        }
    }

    #[test]
    fn names_that_become_equal_are_numbered() {
        let ids = ids(["a.b", "a_b", "a-b", "A-B-n2"]);
        assert_eq!(ids, ["a-b", "a-b-n2", "a-b-n3", "a-b-n2-n2"]);
        assert!(ids.iter().all(|id| is_kebab_case(id)));
    }

    #[test]
    fn what_is_not_kebab_case() {
        for wrong in [
            "", "-", "a-", "-a", "a--b", "2a", "a-2", "A", "a_b", "a b", "é",
        ] {
            assert!(!is_kebab_case(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn the_name_of_an_application_is_short() {
        let long = format!("{}-{}", "a".repeat(MAX_APP_NAME_LEN - 1), "b".repeat(20));
        assert_eq!(app_name(&long), "a".repeat(MAX_APP_NAME_LEN - 1));
        assert_eq!(app_name("magika"), "magika");
    }

    #[test]
    fn versions_have_three_numbers() {
        let cases = [
            ("1", "1.0.0"),
            ("2.10", "2.10.0"),
            ("01.2.3", "1.2.3"),
            ("1.2.3.4", "0.1.0"),
            ("v3_3", "0.1.0"),
            ("", "0.1.0"),
        ];
        for (version, expected) in cases {
            assert_eq!(semver(version), expected, "of {version:?}");
        }
    }
}
