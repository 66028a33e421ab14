//! What all lists of models say of one.

use std::time::{Duration, SystemTime};

use impetus_proto::supervisor::ModelStatus;
use schemars::JsonSchema;
use serde::Serialize;

use super::{line::rfc3339, named::tagged};

/// What kind of model it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OllamaDetails")]
pub(in crate::dialect) struct Details {
    /// The model that a preset was made of, or empty.
    parent_model: String,
    format: &'static str,
    family: String,
    families: Vec<String>,
    parameter_size: String,
    quantization_level: String,
}

impl Details {
    /// Those of a model, or of a preset that was made of `parent`.
    pub(super) fn of(model: &ModelStatus, parent: Option<&str>) -> Self {
        Self {
            parent_model: parent.map(tagged).unwrap_or_default(),
            format: match model.format.as_str() {
                "gguf" => "gguf",
                "candle" => "safetensors",
                "onnx" => "onnx",
                _ => "",
            },
            family: model.architecture.clone(),
            families: vec![model.architecture.clone()],
            parameter_size: shortened(model.parameters),
            quantization_level: model.quantization.clone(),
        }
    }
}

/// A moment of a model's, in seconds since 1970.
pub(super) fn moment(unix_s: u64) -> String {
    rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s))
}

/// A count as Ollama writes it: `3.2B`, `134.52M`, `42K`; nothing where it is not known.
fn shortened(count: u64) -> String {
    let (unit, letter, digits) = match count {
        0 => return String::new(),
        1_000_000_000.. => (1_000_000_000, "B", 1),
        1_000_000.. => (1_000_000, "M", 2),
        1_000.. => (1_000, "K", 0),
        _ => return count.to_string(),
    };
    let digits = if count.is_multiple_of(unit) { 0 } else { digits };
    format!("{:.digits$}{letter}", count as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_in_units() {
        let check = |count: u64, expected: &str| assert_eq!(shortened(count), expected);
        check(0, "");
        check(999, "999");
        check(41_600, "42K");
        check(7_000_000, "7M");
        check(134_515_008, "134.52M");
        check(3_212_749_888, "3.2B");
        check(8_000_000_000, "8B");
        check(70_553_706_496, "70.6B");
    }
}
