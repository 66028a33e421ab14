//! Parameters of requests that a person sets by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Parameters by their names in the API.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings(BTreeMap<String, Value>);

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Whole,
    /// A text or several.
    Texts,
    /// A word, or seconds.
    WordOrSeconds,
}

/// Those that can be set, with what they do.
const KNOWN: &[(&str, Kind, &str)] = &[
    ("temperature", Kind::Number, "0 is always the likeliest token"),
    ("top_p", Kind::Number, "tokens of this much probability together"),
    ("top_k", Kind::Whole, "so many tokens"),
    ("min_p", Kind::Number, "tokens of at least this share of the likeliest"),
    ("seed", Kind::Whole, "the same answer again"),
    ("max_tokens", Kind::Whole, "the longest answer"),
    ("stop", Kind::Texts, "ends the answer; several as a JSON array"),
    ("presence_penalty", Kind::Number, "against what was there"),
    ("frequency_penalty", Kind::Number, "against what was there often"),
    ("repeat_penalty", Kind::Number, "against repetition, 1 is none"),
    ("reasoning_effort", Kind::WordOrSeconds, "how long it thinks"),
    ("keep_alive", Kind::WordOrSeconds, "how long the model stays, such as 5m"),
];

/// Why something cannot be set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::ctl) enum SettingError {
    #[error("there is no parameter {0:?}; /set lists those there are")]
    Unknown(String),
    #[error("{key} = {value:?}: expected {expected}")]
    Value { key: String, value: String, expected: &'static str },
}

impl Settings {
    /// Sets a parameter to what was written for it.
    pub(super) fn set(&mut self, key: &str, text: &str) -> Result<(), SettingError> {
        let kind = kind_of(key)?;
        let parsed = kind.parse(text).ok_or_else(|| SettingError::Value {
            key: key.to_owned(),
            value: text.to_owned(),
            expected: kind.expected(),
        })?;
        self.0.insert(key.to_owned(), parsed);
        Ok(())
    }

    /// Leaves a parameter to the server again.
    pub(super) fn unset(&mut self, key: &str) -> Result<(), SettingError> {
        kind_of(key)?;
        self.0.remove(key);
        Ok(())
    }

    /// Puts them into the body of a request.
    pub(super) fn apply(&self, body: &mut Map<String, Value>) {
        body.extend(self.0.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// As JSON.
    pub(super) fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// From JSON, where each has to be one that can be set.
    pub(super) fn from_json(values: &Map<String, Value>) -> Result<Self, SettingError> {
        let mut settings = Self::default();
        for (key, value) in values {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            settings.set(key, &text)?;
        }
        Ok(settings)
    }

    /// Each that is set, in a line.
    pub(super) fn lines(&self) -> String {
        self.0.iter().fold(String::new(), |text, (key, value)| text + &format!("{key} = {value}\n"))
    }
}

impl Kind {
    fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Number => {
                let number: f64 = text.parse().ok()?;
                serde_json::Number::from_f64(number).map(Value::Number)
            }
            Self::Whole => text.parse::<i64>().ok().map(Value::from),
            Self::Texts => match serde_json::from_str(text) {
                Ok(Value::Array(texts)) => texts.iter().all(Value::is_string).then_some(Value::Array(texts)),
                Ok(Value::String(text)) => Some(Value::from(text)),
                _ => (!text.is_empty()).then(|| Value::from(text)),
            },
            Self::WordOrSeconds => {
                let word = (!text.is_empty()).then(|| Value::from(text));
                text.parse::<i64>().ok().map(Value::from).or(word)
            }
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Whole => "a whole number",
            Self::Texts => "a text, or a JSON array of texts",
            Self::WordOrSeconds => "a word or a number",
        }
    }
}

fn kind_of(key: &str) -> Result<Kind, SettingError> {
    let known = KNOWN.iter().find(|(name, ..)| *name == key);
    known.map(|(_, kind, _)| *kind).ok_or_else(|| SettingError::Unknown(key.to_owned()))
}

/// What can be set, a line each.
pub(super) fn known() -> String {
    KNOWN.iter().fold(String::new(), |text, (name, _, does)| text + &format!("  {name:<18} {does}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(key: &str, text: &str) -> Result<Value, String> {
        let mut settings = Settings::default();
        settings.set(key, text).map_err(|error| error.to_string())?;
        Ok(settings.to_json()[key].clone())
    }

    #[test]
    fn values_are_of_their_parameters() {
        let check =
            |key: &str, text: &str, expected: Value| assert_eq!(set(key, text), Ok(expected), "{key} {text}");
        check("temperature", "0", json!(0.0));
        check("top_p", "0.9", json!(0.9));
        check("top_k", "40", json!(40));
        check("seed", "-1", json!(-1));
        check("stop", "END", json!("END"));
        check("stop", "12", json!("12"));
        check("stop", r#""\n""#, json!("\n"));
        check("stop", r#"["a","b c"]"#, json!(["a", "b c"]));
        check("keep_alive", "5m", json!("5m"));
        check("keep_alive", "-1", json!(-1));
    }

    #[test]
    fn what_is_none_is_refused() {
        let check = |key: &str, text: &str, expected: &str| {
            let error = set(key, text).unwrap_err();
            assert!(error.contains(expected), "{key} {text}: {error}");
        };
        check("temprature", "1", "no parameter \"temprature\"");
        check("temperature", "hot", "expected a number");
        check("temperature", "NaN", "expected a number");
        check("max_tokens", "1.5", "expected a whole number");
        check("stop", "", "expected a text");
        check("stop", "[1]", "expected a text");
        assert_eq!(Settings::default().unset("x"), Err(SettingError::Unknown("x".into())));
    }

    #[test]
    fn they_come_back_from_json_as_they_were() {
        let mut settings = Settings::default();
        for (key, text) in [("temperature", "0.5"), ("seed", "7"), ("stop", r#"["a"]"#), ("keep_alive", "5m")]
        {
            settings.set(key, text).unwrap();
        }
        let json = settings.to_json();
        assert_eq!(Settings::from_json(json.as_object().unwrap()), Ok(settings.clone()));
        assert_eq!(settings.lines(), "keep_alive = \"5m\"\nseed = 7\nstop = [\"a\"]\ntemperature = 0.5\n");
        settings.unset("seed").unwrap();
        let mut body = Map::new();
        settings.apply(&mut body);
        assert_eq!(Value::Object(body), json!({"temperature": 0.5, "stop": ["a"], "keep_alive": "5m"}));
        assert!(Settings::from_json(json!({"tools": []}).as_object().unwrap()).is_err());
    }
}
