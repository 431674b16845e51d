//! Lists and objects in JSON that are what they say and no more.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, Expected, MapAccess, SeqAccess, Visitor};

/// A list of at most `MAX` values, however many are sent.
#[derive(Debug)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

/// An object; what is derived for a struct takes a list of its fields as well.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = List<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            if values.len() == MAX {
                let expected: &dyn Expected = &self;
                return Err(A::Error::custom(format_args!(
                    "expected {expected}, found more"
                )));
            }
            values.push(value);
        }
        Ok(List(values))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_at_the_limit_is_read_and_a_longer_one_is_not() {
        type Two = List<u8, 2>;
        assert_eq!(serde_json::from_str::<Two>("[1, 2]").unwrap().0, [1, 2]);
        let error = serde_json::from_str::<Two>("[1, 2, 3]").unwrap_err();
        let message = "expected a list of at most 2, found more at line 1 column 9";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn an_object_is_no_list() {
        #[derive(serde::Deserialize)]
        struct One {
            one: u8,
        }
        type Strict = Object<One>;
        let object = serde_json::from_str::<Strict>(r#"{"one": 1, "two": 2}"#).unwrap();
        assert_eq!(object.0.one, 1);
        let error = serde_json::from_str::<Strict>("[1]")
            .map(|_| ())
            .unwrap_err();
        let message = "invalid type: sequence, expected an object at line 1 column 0";
        assert_eq!(error.to_string(), message);
    }
}
