//! Whether a model is to think before it answers, and how much.

use impetus_proto::{Error, worker::Reasoning};
use serde_json::json;

use crate::dialect::field::{Fields, wrong_type};

const LEVELS: [&str; 3] = ["low", "medium", "high"];

/// Takes `think`: true, false or a level; absent: as the model's template does by itself.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<Option<Reasoning>, Error> {
    fields.note("think", || json!({"anyOf": [{"type": "boolean"}, {"type": "string", "enum": LEVELS}]}));
    let Some(value) = fields.raw("think") else { return Ok(None) };
    let level = LEVELS.into_iter().find(|level| value.get().trim_matches('"') == *level);
    let (enabled, effort) = match (value.get(), level) {
        ("true", _) => (true, ""),
        ("false", _) => (false, ""),
        (text, Some(level)) if text.starts_with('"') => (true, level),
        _ => return Err(wrong_type("think", "true, false, \"low\", \"medium\" or \"high\"", value)),
    };
    Ok(Some(Reasoning { enabled: Some(enabled), effort: effort.to_owned(), ..Reasoning::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_is_asked_for_by_a_flag_or_a_level() {
        let check = |value: &str, expected: Result<Option<(bool, &str)>, &str>| {
            let body = format!(r#"{{"think":{value}}}"#);
            let taken = take(&mut Fields::of_body(body.as_bytes()).unwrap());
            let taken = taken.as_ref().map_err(|error| error.param.as_str()).map(|reasoning| {
                let said = |reasoning: &Reasoning| (reasoning.enabled.unwrap(), reasoning.effort.clone());
                reasoning.as_ref().map(said)
            });
            let expected = expected.map(|said| said.map(|(enabled, effort)| (enabled, effort.to_owned())));
            assert_eq!(taken, expected, "{value}");
        };
        check("null", Ok(None));
        check("true", Ok(Some((true, ""))));
        check("false", Ok(Some((false, ""))));
        check(r#""low""#, Ok(Some((true, "low"))));
        check(r#""high""#, Ok(Some((true, "high"))));
        check(r#""none""#, Err("think"));
        check("1", Err("think"));
        check("{}", Err("think"));
    }
}
