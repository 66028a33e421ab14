//! The body of a request.

use std::{fs::File, io::Read, path::PathBuf};

use serde_json::{Map, Value, json};

use super::{error::RunError, settings::Settings};

/// The most that is read of a schema, in bytes.
const SCHEMA_BYTES: u64 = 1 << 20;

/// What all requests of one run have in common.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) model: String,
    pub(super) settings: Settings,
    /// As OpenAI's API has it.
    pub(super) response_format: Option<Value>,
}

impl Wish {
    /// Asks for the answer to these messages.
    pub(super) fn body(&self, messages: Value) -> Value {
        let mut body = Map::new();
        body.insert("model".into(), Value::from(self.model.as_str()));
        body.insert("messages".into(), messages);
        body.insert("stream".into(), Value::Bool(true));
        body.insert("stream_options".into(), json!({"include_usage": true}));
        if let Some(format) = &self.response_format {
            body.insert("response_format".into(), format.clone());
        }
        self.settings.apply(&mut body);
        Value::Object(body)
    }
}

/// What `--json` asks for: any JSON where nothing is behind it, else what a schema says, which is in a file or written
/// out.
pub(super) fn response_format(schema: &str) -> Result<Value, RunError> {
    if schema.is_empty() {
        return Ok(json!({"type": "json_object"}));
    }
    let text = if schema.trim_start().starts_with('{') { schema.to_owned() } else { read(schema.into())? };
    let schema: Value = serde_json::from_str(&text).map_err(RunError::Schema)?;
    Ok(json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}}))
}

fn read(path: PathBuf) -> Result<String, RunError> {
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(SCHEMA_BYTES).read_to_string(&mut text));
    read.map_err(|source| RunError::SchemaFile { path, source })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_what_was_set_and_nothing_else() {
        let mut settings = Settings::default();
        settings.set("seed", "7").unwrap();
        let wish = Wish { model: "m".into(), settings, response_format: None };
        let expected = json!({
            "model": "m", "messages": [], "stream": true, "stream_options": {"include_usage": true}, "seed": 7
        });
        assert_eq!(wish.body(json!([])), expected);
        let wish = Wish { response_format: Some(response_format("").unwrap()), ..wish };
        assert_eq!(wish.body(json!([]))["response_format"], json!({"type": "json_object"}));
    }

    #[test]
    fn a_schema_is_a_file_or_written_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("schema.json");
        std::fs::write(&path, r#"{"type":"object"}"#).unwrap();
        for schema in [r#" {"type":"object"}"#, path.to_str().unwrap()] {
            let format = response_format(schema).unwrap();
            assert_eq!(format["json_schema"]["schema"], json!({"type": "object"}));
        }
        assert!(matches!(response_format("{"), Err(RunError::Schema(_))));
        assert!(matches!(response_format("none.json"), Err(RunError::SchemaFile { .. })));
    }
}
