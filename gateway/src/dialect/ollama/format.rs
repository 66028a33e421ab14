//! What an answer has to be.

use impetus_proto::{
    Error,
    worker::{Structure, structure::Structure as Kind},
};
use serde_json::json;

use crate::dialect::field::{Fields, kind, wrong_type};

/// Takes `format`: `json`, a JSON schema, or an empty text, which is the same as nothing.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<Option<Structure>, Error> {
    fields
        .note("format", || json!({"anyOf": [{"type": "string", "enum": ["", "json"]}, {"type": "object"}]}));
    let Some(value) = fields.raw("format") else { return Ok(None) };
    let kind = match (value.get(), kind(value)) {
        (r#""""#, _) => return Ok(None),
        (r#""json""#, _) => Kind::JsonObject(true),
        (schema, "an object") => Kind::JsonSchema(schema.to_owned()),
        _ => return Err(wrong_type("format", "\"json\" or a JSON schema, which is an object", value)),
    };
    Ok(Some(Structure { structure: Some(kind) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_json_or_a_schema() {
        let check = |value: &str, expected: Result<Option<Kind>, &str>| {
            let body = format!(r#"{{"format":{value}}}"#);
            let taken = take(&mut Fields::of_body(body.as_bytes()).unwrap());
            let taken = taken.map_err(|error| error.param).map(|taken| taken.and_then(|it| it.structure));
            assert_eq!(taken, expected.map_err(str::to_owned), "{value}");
        };
        check("null", Ok(None));
        check(r#""""#, Ok(None));
        check(r#""json""#, Ok(Some(Kind::JsonObject(true))));
        let schema = r#"{"type":"object"}"#;
        check(schema, Ok(Some(Kind::JsonSchema(schema.to_owned()))));
        check(r#""yaml""#, Err("format"));
        check("true", Err("format"));
    }
}
