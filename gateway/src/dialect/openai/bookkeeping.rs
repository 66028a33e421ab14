//! The parameters that are about the caller or about OpenAI's own bookkeeping. There is nothing here for them to
//! change, so that checking them honours them.

use impetus_proto::Error;
use serde_json::value::RawValue;

use super::parameter::unsupported;
use crate::dialect::field::{Fields, wrong_type};

/// Limits of `metadata`, as the API defines them; lengths are in characters.
const MAX_METADATA_PAIRS: usize = 16;
const MAX_METADATA_KEY: usize = 64;
const MAX_METADATA_VALUE: usize = 512;

/// The longest name of a caller or of a cache, in characters.
const MAX_NAME: usize = 512;

/// The one tier that there is.
const TIER: &str = "default";

/// Takes `user`, `safety_identifier`, `prompt_cache_key` and `metadata`.
pub(super) fn accept(fields: &mut Fields<'_>) -> Result<(), Error> {
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        if fields.text(name)?.is_some_and(|text| text.chars().count() > MAX_NAME) {
            let message = format!("{name} must have at most {MAX_NAME} characters");
            return Err(Error::invalid(name, message));
        }
    }
    metadata(fields).map(drop)
}

/// Takes `metadata`, as pairs in the order in which they were given.
pub(super) fn metadata(fields: &mut Fields<'_>) -> Result<Vec<(String, String)>, Error> {
    let name = "metadata";
    let Some(value) = fields.raw(name) else { return Ok(Vec::new()) };
    let refused = |_| wrong_type(name, "an object of strings", value);
    let pairs: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(value.get()).map_err(refused)?;
    if pairs.len() > MAX_METADATA_PAIRS {
        let message = format!("{name} must have at most {MAX_METADATA_PAIRS} pairs, not {}", pairs.len());
        return Err(Error::invalid(name, message));
    }
    let mut taken = Vec::with_capacity(pairs.len());
    for (key, text) in pairs {
        let serde_json::Value::String(text) = text else {
            return Err(wrong_type(name, "an object of strings", value));
        };
        if key.chars().count() > MAX_METADATA_KEY || text.chars().count() > MAX_METADATA_VALUE {
            let message = format!(
                "{name} must have keys of at most {MAX_METADATA_KEY} characters and values of at most \
                 {MAX_METADATA_VALUE}"
            );
            return Err(Error::invalid(name, message));
        }
        taken.push((key, text));
    }
    Ok(taken)
}

/// Takes `service_tier`; answers the tier that serves the request, where it asks for one.
pub(super) fn service_tier(fields: &mut Fields<'_>) -> Result<Option<&'static str>, Error> {
    let name = "service_tier";
    match fields.word(name, &["auto", "default", "flex", "priority", "scale"])? {
        None => Ok(None),
        Some("auto" | "default") => Ok(Some(TIER)),
        Some(other) => {
            let message = format!(
                "{name} {other:?} is not supported by this server, which has the tier \"default\" alone"
            );
            Err(unsupported(name, message))
        }
    }
}

/// Takes `prediction`: a hint that changes nothing of the answer, and nothing of its speed here.
pub(super) fn prediction(fields: &mut Fields<'_>) -> Result<(), Error> {
    let Some(mut prediction) = fields.object("prediction")? else { return Ok(()) };
    let path = prediction.path_of("type");
    if prediction.text("type")?.as_deref() != Some("content") {
        return Err(Error::invalid(path.as_str(), format!("{path} must be \"content\"")));
    }
    let path = prediction.path_of("content");
    match prediction.raw("content").map(RawValue::get) {
        Some(content) if content.starts_with(['"', '[']) => Ok(()),
        _ => {
            let message = format!("{path} must be a string or an array of parts");
            Err(Error::invalid(path, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::Code;

    use super::*;

    fn error_of<T: std::fmt::Debug>(
        fields: &str,
        read: impl Fn(&mut Fields<'_>) -> Result<T, Error>,
    ) -> Option<(Code, String)> {
        let body = format!("{{{fields}}}");
        let error = read(&mut Fields::of_body(body.as_bytes()).unwrap()).err()?;
        Some((error.code(), error.param))
    }

    #[test]
    fn metadata_is_held_to_the_apis_limits() {
        let check = |metadata: &str, is_valid: bool| {
            let expected = (!is_valid).then(|| (Code::InvalidRequest, "metadata".to_owned()));
            assert_eq!(error_of(&format!(r#""metadata":{metadata}"#), accept), expected, "{metadata:.60}");
        };
        let pairs = |n: usize| {
            let pairs: Vec<String> = (0..n).map(|i| format!(r#""{i}":"v""#)).collect();
            format!("{{{}}}", pairs.join(","))
        };
        let pair = |key: usize, value: usize| format!(r#"{{"{}":"{}"}}"#, "ä".repeat(key), "ö".repeat(value));
        check("{}", true);
        check(&pairs(16), true);
        check(&pairs(17), false);
        check(&pair(64, 512), true);
        check(&pair(65, 1), false);
        check(&pair(1, 513), false);
        check(r#"{"k":1}"#, false);
        check("[]", false);
    }

    #[test]
    fn a_prediction_is_content() {
        let check = |value: &str, param: Option<&str>| {
            let expected = param.map(|param| (Code::InvalidRequest, param.to_owned()));
            assert_eq!(error_of(&format!(r#""prediction":{value}"#), prediction), expected, "{value}");
        };
        check("null", None);
        check(r#"{"type":"content","content":"x"}"#, None);
        check(r#"{"type":"content","content":[{"type":"text","text":"x"}]}"#, None);
        check(r#"{"type":"other","content":"x"}"#, Some("prediction.type"));
        check(r#"{"type":"content"}"#, Some("prediction.content"));
        check(r#"{"type":"content","content":7}"#, Some("prediction.content"));
        check("7", Some("prediction"));
    }

    #[test]
    fn there_is_one_tier() {
        let check = |tier: &str, expected: Result<Option<&'static str>, Code>| {
            let body = format!(r#"{{"service_tier":{tier}}}"#);
            let taken = service_tier(&mut Fields::of_body(body.as_bytes()).unwrap());
            assert_eq!(taken.map_err(|error| error.code()), expected, "{tier}");
        };
        check("null", Ok(None));
        check(r#""auto""#, Ok(Some("default")));
        check(r#""default""#, Ok(Some("default")));
        check(r#""flex""#, Err(Code::UnsupportedParameter));
        check(r#""gold""#, Err(Code::InvalidRequest));
    }
}
