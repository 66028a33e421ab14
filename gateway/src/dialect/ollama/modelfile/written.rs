//! A preset as the Modelfile from which it would be made again.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Modelfile;

/// `modelfile` as text. A text that has `"""` at the end of a line cannot be told from its end.
pub(in crate::dialect::ollama) fn written(modelfile: &Modelfile) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(from) = &modelfile.from {
        let _ = writeln!(text, "FROM {from}");
    }
    if let Some(system) = &modelfile.system {
        let _ = writeln!(text, "SYSTEM {}", quoted(system));
    }
    parameters(&mut text, &modelfile.options);
    for (role, content) in &modelfile.messages {
        let _ = writeln!(text, "MESSAGE {role} {}", quoted(content));
    }
    for license in &modelfile.license {
        let _ = writeln!(text, "LICENSE {}", quoted(license));
    }
    text
}

fn parameters(text: &mut String, options: &Map<String, Value>) {
    for (name, value) in options {
        let texts = match value {
            Value::Array(several) => several.iter().map(of_parameter).collect(),
            one => vec![of_parameter(one)],
        };
        for value in texts {
            let _ = writeln!(text, "PARAMETER {name} {value}");
        }
    }
}

fn of_parameter(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        value => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let is_plain =
        text == text.trim() && !text.is_empty() && !text.starts_with('"') && !text.contains(['\n', '\r']);
    if is_plain { text.to_owned() } else { format!("\"\"\"{text}\"\"\"") }
}
