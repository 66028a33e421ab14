//! One line of a log, read: JSON as our processes write it, text, or whatever an engine says.

use impetus_config::Moment;
use impetus_proto::supervisor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How grave a line is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What a process said.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LogLine {
    /// Grows from line to line over all processes.
    pub(super) number: u64,
    source: String,
    unix_ms: Option<u64>,
    pub(super) level: Option<Level>,
    target: Option<String>,
    message: String,
    request_id: Option<String>,
    fields: Map<String, Value>,
    /// The line as it is.
    text: String,
}

/// What telemetry writes.
#[derive(Debug, Deserialize)]
struct Written {
    timestamp: String,
    level: String,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    spans: Vec<Map<String, Value>>,
}

impl Level {
    const ALL: [(Self, &str); 5] = [
        (Self::Error, "error"),
        (Self::Warn, "warn"),
        (Self::Info, "info"),
        (Self::Debug, "debug"),
        (Self::Trace, "trace"),
    ];

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(level, _)| level)
    }
}

impl LogLine {
    /// Whether the line is about the request of this id.
    pub(super) fn is_of(&self, id: &str) -> bool {
        match &self.request_id {
            Some(known) => known == id,
            // Of text it is only known that the id is in there.
            None => self.fields.is_empty() && self.text.contains(id),
        }
    }

    fn of_json(line: &supervisor::LogLine, written: Written) -> Self {
        let Written { timestamp, level, target, mut fields, spans } = written;
        let message = match fields.remove("message") {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let text_of = |of: &Map<String, Value>, name| of.get(name).and_then(Value::as_str).map(str::to_owned);
        let request_id = text_of(&fields, "request_id").or_else(|| {
            spans.iter().find_map(|span| {
                // A worker's spans of sequences, inputs and rankings are called by the request's id.
                text_of(span, "request_id").or_else(|| text_of(span, "id"))
            })
        });
        Self {
            unix_ms: unix_ms(&timestamp),
            level: Level::of_name(&level),
            target,
            message,
            request_id,
            fields,
            ..Self::bare(line)
        }
    }

    /// `TIME LEVEL the rest`, where it is so.
    fn of_text(line: &supervisor::LogLine) -> Self {
        let mut words = line.text.splitn(2, char::is_whitespace);
        let time = words.next().and_then(unix_ms);
        let rest = words.next().unwrap_or_default().trim_start();
        let (word, message) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        match (time, Level::of_name(word)) {
            (Some(unix_ms), Some(level)) => Self {
                unix_ms: Some(unix_ms),
                level: Some(level),
                message: message.trim_start().to_owned(),
                ..Self::bare(line)
            },
            _ => Self::bare(line),
        }
    }

    fn bare(line: &supervisor::LogLine) -> Self {
        Self {
            number: line.number,
            source: line.source.clone(),
            unix_ms: None,
            level: None,
            target: None,
            message: line.text.clone(),
            request_id: None,
            fields: Map::new(),
            text: line.text.clone(),
        }
    }
}

impl From<supervisor::LogLine> for LogLine {
    fn from(line: supervisor::LogLine) -> Self {
        match serde_json::from_str(&line.text) {
            Ok(written) => Self::of_json(&line, written),
            Err(_) => Self::of_text(&line),
        }
    }
}

/// `2030-01-31T18:00:00.123456Z` in milliseconds since 1970.
fn unix_ms(text: &str) -> Option<u64> {
    let (seconds, fraction) =
        text.strip_suffix('Z')?.split_once('.').unwrap_or((text.strip_suffix('Z')?, "0"));
    let moment: Moment = format!("{seconds}Z").parse().ok()?;
    let ms = format!("{fraction:0<3}").get(..3)?.parse::<u64>().ok()?;
    Some(moment.0 * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> LogLine {
        supervisor::LogLine { source: "gguf-1".into(), text: text.into(), number: 7 }.into()
    }

    #[test]
    fn lines_are_read_in_every_form() {
        let check = |text: &str, level: Option<Level>, ms: Option<u64>, id: Option<&str>, message: &str| {
            let line = read(text);
            assert_eq!((line.level, line.unix_ms, line.request_id.as_deref()), (level, ms, id), "{text}");
            assert_eq!((line.message.as_str(), line.text.as_str()), (message, text));
        };
        let (info, warn) = (Some(Level::Info), Some(Level::Warn));
        let time = Some(1_700_000_000_123);
        let json = |rest: &str| format!(r#"{{"timestamp":"2023-11-14T22:13:20.123456Z",{rest}}}"#);
        check(&json(r#""level":"INFO","fields":{"message":"serving"}"#), info, time, None, "serving");
        let ended =
            r#""level":"WARN","fields":{"message":"x"},"spans":[{"request_id":"r-1","name":"request"}]"#;
        check(&json(ended), warn, time, Some("r-1"), "x");
        let sequence = r#""level":"INFO","fields":{"message":"x"},"spans":[{"id":"r-2","name":"sequence"}]"#;
        check(&json(sequence), info, time, Some("r-2"), "x");
        check(
            &json(r#""level":"INFO","fields":{"message":"y","request_id":"r-3"}"#),
            info,
            time,
            Some("r-3"),
            "y",
        );
        check("2023-11-14T22:13:20.123456Z  INFO serving a=1", info, time, None, "serving a=1");
        check("ggml: no such file", None, None, None, "ggml: no such file");
        check("{\"level\":7}", None, None, None, "{\"level\":7}");
        check("", None, None, None, "");
    }

    #[test]
    fn what_is_about_a_request_is_known_by_its_id() {
        let json = |id: &str| {
            format!(
                r#"{{"timestamp":"","level":"INFO","fields":{{"message":"m","n":1}},"spans":[{{"request_id":"{id}"}}]}}"#
            )
        };
        assert!(read(&json("r-1")).is_of("r-1"));
        assert!(!read(&json("r-12")).is_of("r-1"));
        assert!(read("request{request_id=r-1}: ended").is_of("r-1"));
    }
}
