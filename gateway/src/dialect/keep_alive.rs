//! How long a model stays loaded after a request, as Ollama's clients say it: a number of seconds, or a duration in
//! the notation of Go.

use impetus_proto::Error;
use serde_json::value::RawValue;

use super::field::{Fields, kind, wrong_type};

const NAME: &str = "keep_alive";

const EXPECTED: &str = "a number of seconds or a duration such as \"5m\"";

/// The longest time in seconds, 68 years; what is to stay for longer is to stay.
const MAX_S: f64 = i32::MAX as f64;

/// The longest duration in bytes.
const MAX_BYTES: usize = 64;

/// The model stays loaded.
const FOR_EVER: i64 = -1;

/// Takes `keep_alive`, in seconds: 0 when the model is to go at once, negative when it is to stay. A part of a second
/// counts as a whole one, since none means something else.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<Option<i64>, Error> {
    let Some(value) = fields.raw(NAME) else { return Ok(None) };
    let seconds = match kind(value) {
        // A number too large for f64 does not parse, and is too large.
        "a number" => serde_json::from_str(value.get()).ok(),
        "a string" => serde_json::from_str::<String>(value.get()).ok().and_then(|text| duration(&text)),
        _ => return Err(wrong_type(NAME, EXPECTED, value)),
    };
    match seconds {
        Some(seconds) if seconds < 0.0 => Ok(Some(FOR_EVER)),
        Some(seconds) if seconds <= MAX_S => Ok(Some(seconds.ceil() as i64)),
        _ => Err(refused(value)),
    }
}

fn refused(value: &RawValue) -> Error {
    let given: String = value.get().chars().take(MAX_BYTES).collect();
    let message = format!(
        "{NAME} must be {EXPECTED}, at most {MAX_S} s, or negative for a model that stays, not {given}"
    );
    Error::invalid(NAME, message)
}

/// The seconds of a duration: numbers with their units, such as `1h30m`, or one number alone. `None` if it is none.
fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() || rest.len() > MAX_BYTES {
        return None;
    }
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    if rest.chars().all(is_of_number) {
        return Some(sign * rest.parse::<f64>().ok()?);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c| !is_of_number(c)).unwrap_or(rest.len()));
        let (unit, after) = after.split_at(after.find(is_of_number).unwrap_or(after.len()));
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = after;
    }
    Some(sign * seconds)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use impetus_proto::Code;

    use super::*;

    fn of(value: &str) -> Result<Option<i64>, Error> {
        let body = format!(r#"{{"keep_alive":{value}}}"#);
        take(&mut Fields::of_body(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_time_to_stay_is_seconds_or_a_duration() {
        let check = |value: &str, expected: Option<i64>| assert_eq!(of(value).unwrap(), expected, "{value}");
        check("null", None);
        check("0", Some(0));
        check("-0", Some(0));
        check("1", Some(1));
        check("300", Some(300));
        check("3e2", Some(300));
        check("0.2", Some(1));
        check("2147483647", Some(2_147_483_647));
        check("-1", Some(-1));
        check("-1.5", Some(-1));
        check("-99999999999999999999", Some(-1));
        check(r#""0""#, Some(0));
        check(r#""300""#, Some(300));
        check(r#""-1""#, Some(-1));
        check(r#""10s""#, Some(10));
        check(r#""0s""#, Some(0));
        check(r#""5m""#, Some(300));
        check(r#""+5m""#, Some(300));
        check(r#""24h""#, Some(86_400));
        check(r#""1h30m""#, Some(5400));
        check(r#""1h30m10.5s""#, Some(5411));
        check(r#""1.5h""#, Some(5400));
        check(r#"".5m""#, Some(30));
        check(r#""500ms""#, Some(1));
        check(r#""1us""#, Some(1));
        check(r#""1µs""#, Some(1));
        check(r#""2000000000ns""#, Some(2));
        check(r#""-1m""#, Some(-1));
        check(r#""-5ms""#, Some(-1));
    }

    #[test]
    fn any_other_value_is_refused_by_name() {
        for value in [
            "true",
            "[]",
            "{}",
            "2147483648",
            "1e300",
            "1e999",
            r#""""#,
            r#""-""#,
            r#""--1""#,
            r#"".""#,
            r#""m""#,
            r#""5 m""#,
            r#"" 5m""#,
            r#""5d""#,
            r#""5M""#,
            r#""1h30""#,
            r#""1.2.3s""#,
            r#""1e3""#,
            r#""inf""#,
            r#""NaN""#,
            r#""for ever""#,
            r#""600000h""#,
            r#""\ud800""#,
            &format!("\"{}s\"", "1".repeat(1000)),
        ] {
            let error = of(value).expect_err(value);
            assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, NAME), "{value}");
            assert!(error.message.starts_with(NAME) && error.message.len() < 300, "{value}: {error}");
        }
    }
}
