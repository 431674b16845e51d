//! TOML values that know their line and path, so that every mistake can be told where it is.
//!
//! A field that is missing is a value, too: whoever reads it says what was expected and finds `nothing`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use tensorlet_tensor::MAX_RANK;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::InvalidModelToml;

/// The longest piece of the text that a message cites, in characters.
const MAX_CITED_CHARS: usize = 60;

/// Parses the text as TOML, knowing no field.
///
/// # Errors
/// If it is no TOML.
pub(super) fn parse_document(text: &str) -> Result<DeTable<'_>, InvalidModelToml> {
    DeTable::parse(text)
        .map(Spanned::into_inner)
        .map_err(|error| InvalidModelToml {
            line: line(text, error.span().map_or(0, |span| span.start)),
            field: None,
            expected: "TOML".into(),
            found: format!("a mistake: {}", error.message()),
        })
}

/// A table with the place where it stands.
#[derive(Clone)]
pub(super) struct Table<'a> {
    text: &'a str,
    /// Empty for the root.
    path: String,
    start: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn root(text: &'a str, entries: &'a DeTable<'a>) -> Self {
        Self {
            text,
            path: String::new(),
            start: 0,
            entries,
        }
    }

    /// Checks that there are no fields but these.
    ///
    /// # Errors
    /// On the first other field in the text.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), InvalidModelToml> {
        let unknown = self
            .entries
            .keys()
            .filter(|key| !names.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let Some(key) = unknown else {
            return Ok(());
        };
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        Err(InvalidModelToml {
            line: line(self.text, key.span().start),
            field: Some(self.path_of(key.get_ref())),
            expected: format!("one of {}", names.join(", ")),
            found: format!("`{}`", cite(key.get_ref())),
        })
    }

    /// Returns the field, be it there or missing.
    pub(super) fn field(&self, name: &str) -> Value<'a> {
        let value = self.entries.get(name);
        Value {
            text: self.text,
            path: self.path_of(name),
            start: value.map_or(self.start, |value| value.span().start),
            value,
        }
    }

    /// Reads the field if it is there.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Value<'a>) -> Result<T, InvalidModelToml>,
    ) -> Result<Option<T>, InvalidModelToml> {
        let field = self.field(name);
        field.value.is_some().then(|| read(&field)).transpose()
    }

    /// Returns all fields, in the order of their names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries
            .keys()
            .map(|key| (key.get_ref().as_ref(), self.field(key.get_ref())))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            cite(name)
        } else {
            format!("{}.{}", self.path, cite(name))
        }
    }
}

/// A value with the place where it stands, or should stand.
pub(super) struct Value<'a> {
    text: &'a str,
    path: String,
    /// Of the value; of its table if it is missing.
    start: usize,
    value: Option<&'a Spanned<DeValue<'a>>>,
}

impl<'a> Value<'a> {
    /// Returns the value as TOML has it, or `None` if it is missing.
    pub(super) fn raw(&self) -> Option<&'a DeValue<'a>> {
        self.value.map(Spanned::get_ref)
    }

    pub(super) fn text(&self) -> Result<String, InvalidModelToml> {
        self.checked_text("a text that is not empty", |_| true)
    }

    /// Reads a text that is not empty and that `accept` takes.
    pub(super) fn checked_text(
        &self,
        expected: &str,
        accept: impl FnOnce(&str) -> bool,
    ) -> Result<String, InvalidModelToml> {
        match self.raw() {
            Some(DeValue::String(text)) if !text.is_empty() && accept(text) => {
                Ok(text.clone().into_owned())
            }
            _ => Err(self.fail(expected)),
        }
    }

    /// Reads a relative path that stays below where it starts, on every system.
    pub(super) fn path(&self) -> Result<String, InvalidModelToml> {
        let is_below = |path: &str| {
            !path.contains(|c: char| c == '\\' || c == ':' || c.is_control())
                && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        };
        self.checked_text("a relative path without `.`, `..`, `:` and `\\`", is_below)
    }

    pub(super) fn boolean(&self) -> Result<bool, InvalidModelToml> {
        match self.raw() {
            Some(DeValue::Boolean(value)) => Ok(*value),
            _ => Err(self.fail("true or false")),
        }
    }

    pub(super) fn integer<T>(&self, range: RangeInclusive<T>) -> Result<T, InvalidModelToml>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        self.raw()
            .and_then(to_i64)
            .and_then(|value| T::try_from(value).ok())
            .filter(|value| range.contains(value))
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                self.fail(&format!("a whole number from {least} to {most}"))
            })
    }

    /// Reads a finite number, with or without a point, that `accept` takes.
    pub(super) fn number(
        &self,
        expected: &str,
        accept: impl FnOnce(f64) -> bool,
    ) -> Result<f64, InvalidModelToml> {
        self.raw()
            .and_then(to_f64)
            .filter(|value| value.is_finite() && accept(*value))
            .ok_or_else(|| self.fail(expected))
    }

    /// Reads a number that an `f32` can hold.
    pub(super) fn f32(&self) -> Result<f32, InvalidModelToml> {
        let fits = |value: f64| (value as f32).is_finite();
        Ok(self.number("a finite number in the range of f32", fits)? as f32)
    }

    /// Reads a text that names one of the choices.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, InvalidModelToml> {
        let found = match self.raw() {
            Some(DeValue::String(text)) => text.as_ref(),
            _ => "",
        };
        let choice = choices.iter().find(|(name, _)| *name == found);
        choice.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("`\"{name}\"`"))
                .collect();
            self.fail(&join_or(&names))
        })
    }

    pub(super) fn items(&self, expected: &str) -> Result<Vec<Value<'a>>, InvalidModelToml> {
        let Some(DeValue::Array(items)) = self.raw() else {
            return Err(self.fail(expected));
        };
        let item = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Value {
            text: self.text,
            path: format!("{}[{index}]", self.path),
            start: item.span().start,
            value: Some(item),
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// Reads dims with at most `max_len` elements in all.
    pub(super) fn dims(&self, max_len: u32) -> Result<Vec<u32>, InvalidModelToml> {
        let expected =
            format!("at most {MAX_RANK} dims of at least 1 whose product is at most {max_len}");
        let items = self.items(&expected)?;
        let dims = items
            .iter()
            .map(|item| item.integer(1..=max_len))
            .collect::<Result<Vec<_>, _>>()?;
        let product = dims.iter().try_fold(1u32, |len, &dim| len.checked_mul(dim));
        if dims.len() > MAX_RANK || product.is_none_or(|len| len > max_len) {
            return Err(self.fail(&expected));
        }
        Ok(dims)
    }

    pub(super) fn table(&self) -> Result<Table<'a>, InvalidModelToml> {
        let Some(DeValue::Table(entries)) = self.raw() else {
            return Err(self.fail("a table"));
        };
        Ok(Table {
            text: self.text,
            path: self.path.clone(),
            start: self.start,
            entries,
        })
    }

    /// Reads a table whose keys are free, with `read` for each value.
    pub(super) fn map<T>(
        &self,
        read: impl Fn(&Value<'a>) -> Result<T, InvalidModelToml>,
    ) -> Result<BTreeMap<String, T>, InvalidModelToml> {
        self.table()?
            .entries()
            .map(|(name, value)| Ok((name.into(), read(&value)?)))
            .collect()
    }

    /// Makes the error that something else was expected here.
    pub(super) fn fail(&self, expected: &str) -> InvalidModelToml {
        self.fail_with(expected, self.found())
    }

    /// As [`Value::fail`], with words of its own for what was found.
    pub(super) fn fail_with(&self, expected: &str, found: impl fmt::Display) -> InvalidModelToml {
        InvalidModelToml {
            line: line(self.text, self.start),
            field: Some(self.path.clone()),
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    fn found(&self) -> String {
        let Some(value) = self.value else {
            return "nothing".into();
        };
        match value.get_ref() {
            DeValue::Table(_) => "a table".into(),
            DeValue::Array(items) if items.len() == 1 => "an array of 1 value".into(),
            DeValue::Array(items) => format!("an array of {} values", items.len()),
            _ => format!(
                "`{}`",
                cite(self.text.get(value.span()).unwrap_or_default())
            ),
        }
    }
}

/// Returns the number, if it is whole and fits.
pub(super) fn to_i64(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix()).ok(),
        _ => None,
    }
}

/// Returns the number, with or without a point.
pub(super) fn to_f64(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(value) => value.as_str().parse().ok(),
        _ => to_i64(value).map(|value| value as f64),
    }
}

fn line(text: &str, start: usize) -> usize {
    let before = text.bytes().take(start);
    1 + before.filter(|&byte| byte == b'\n').count()
}

fn join_or(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// Returns the text as one line that is not too long.
fn cite(text: &str) -> String {
    let shown: String = text
        .chars()
        .take_while(|c| !c.is_control())
        .take(MAX_CITED_CHARS)
        .collect();
    if shown.len() == text.len() {
        shown
    } else {
        shown + "…"
    }
}
