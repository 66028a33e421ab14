//! JSON objects of settings, of which only those are kept that are asked for.

use std::{cell::Cell, collections::BTreeMap, fmt, io::Read};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The settings of an object, those that are `null` excepted. Of a key that occurs again the last value counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settings(BTreeMap<String, Setting>);

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Setting {
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Setting>),
    Object(Settings),
}

/// How many values of one file are kept; more are refused.
const VALUES: usize = 16_384;
/// How many elements of a list are kept; more are passed over.
const ELEMENTS: usize = 1_024;
/// Bytes of the longest text that is kept; longer ones are passed over.
const TEXT_BYTES: usize = 1 << 20;

/// Reads one value, if it is one to be kept.
#[derive(Clone, Copy)]
struct Keep<'a> {
    /// The keys whose values are kept, in whatever object they are.
    wanted: &'a [&'a str],
    /// How many more values may be kept.
    left: &'a Cell<usize>,
}

impl Settings {
    /// Reads the object that is all of `reader`, keeping what is under the `wanted` keys, in objects under such keys
    /// too.
    pub(crate) fn read(reader: impl Read, wanted: &[&str]) -> Result<Self, serde_json::Error> {
        let left = Cell::new(VALUES);
        let mut deserializer = serde_json::Deserializer::from_reader(reader);
        let setting = Keep { wanted, left: &left }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        match setting {
            Some(Setting::Object(settings)) => Ok(settings),
            _ => Err(serde_json::Error::custom("it is not an object")),
        }
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Setting> {
        self.0.get(key)
    }

    /// The text under `key`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The elements of the list under `key` that are texts.
    pub(crate) fn texts<'a>(&'a self, key: &str) -> Vec<&'a str> {
        let Some(Setting::List(elements)) = self.get(key) else { return Vec::new() };
        let text = |element: &'a Setting| match element {
            Setting::Text(text) => Some(text.as_str()),
            _ => None,
        };
        elements.iter().filter_map(text).collect()
    }

    /// The object under `key`.
    pub(crate) fn object(&self, key: &str) -> Option<&Self> {
        self.get(key).and_then(Setting::object)
    }

    /// Whether the value under `key` is `true`.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Setting::Bool(true)))
    }
}

impl Setting {
    /// The object, when it is one.
    pub(crate) fn object(&self) -> Option<&Settings> {
        match self {
            Self::Object(settings) => Some(settings),
            _ => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = Option<Setting>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = Option<Setting>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.keep(Setting::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.keep(Setting::Number(value as f64))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.keep(Setting::Number(value as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        self.keep(Setting::Number(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        if value.len() > TEXT_BYTES {
            return Ok(None);
        }
        self.keep(Setting::Text(value.to_owned()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < ELEMENTS {
            match list.next_element_seed(self)? {
                Some(element) => elements.extend(element),
                None => return self.keep(Setting::List(elements)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.keep(Setting::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut settings = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if !self.wanted.contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match map.next_value_seed(self)? {
                Some(value) => settings.insert(key, value),
                None => settings.remove(&key),
            };
        }
        self.keep(Setting::Object(Settings(settings)))
    }
}

impl Keep<'_> {
    fn keep<E: serde::de::Error>(self, value: Setting) -> Result<Option<Setting>, E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom("it holds more settings than any model has"))?);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, serde_json::Error> {
        Settings::read(json.as_bytes(), &["a", "b"])
    }

    #[test]
    fn what_is_wanted_is_kept() {
        let settings =
            read(r#"{"a": {"a": [1, "x", null, {"b": -2.5, "c": 1}], "c": 2}, "c": {"a": 3}, "b": true}"#);
        let settings = settings.unwrap();
        let inner = Settings(BTreeMap::from([("b".to_owned(), Setting::Number(-2.5))]));
        let list = vec![Setting::Number(1.0), Setting::Text("x".to_owned()), Setting::Object(inner)];
        assert_eq!(settings.object("a").unwrap().get("a"), Some(&Setting::List(list)));
        assert_eq!(settings.object("a").unwrap().texts("a"), ["x"]);
        assert_eq!((settings.is_true("b"), settings.is_true("a")), (true, false));
        assert_eq!((settings.get("c"), settings.object("a").unwrap().get("c")), (None, None));
        assert_eq!(read(r#"{"a": 1, "a": "text"}"#).unwrap().text("a"), Some("text"));
        assert_eq!(read(r#"{"a": 1, "a": null}"#).unwrap(), Settings::default());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = "x".repeat(TEXT_BYTES + 1);
        assert_eq!(read(&format!(r#"{{"a": "{long}"}}"#)).unwrap(), Settings::default());
        let many = format!(r#"{{"a": [{}0], "b": 1}}"#, "0,".repeat(100_000));
        let settings = read(&many).unwrap();
        assert!(matches!(settings.get("a"), Some(Setting::List(list)) if list.len() == ELEMENTS));
        assert_eq!(settings.get("b"), Some(&Setting::Number(1.0)));
        let lists = format!(r#"{{"a": [{}0]}}"#, format!("[{}0],", "0,".repeat(100)).repeat(1_000));
        assert!(read(&lists).unwrap_err().to_string().contains("more settings than any model"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        fn check(json: &str, expected: &str) {
            let message = read(json).unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
        check("", "EOF");
        check("[]", "not an object");
        check("null", "not an object");
        check("{} {}", "trailing characters");
        check(r#"{"a": }"#, "expected value");
        check(r#"{"a": 1"#, "EOF");
        check(&format!(r#"{{"a": {}"#, "[".repeat(1_000)), "recursion limit");
        check(&format!(r#"{{"a": {}"#, r#"{"a":"#.repeat(1_000)), "recursion limit");
        check(r#"{"a": 1e999}"#, "number out of range");
    }
}
