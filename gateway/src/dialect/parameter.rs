//! Parameters that an API defines and that are not offered. Each is accepted with the values that mean the same as
//! leaving it out, and refused by name with any other: none is ever ignored.

use impetus_proto::{Code, Error};
use serde_json::{Value, value::RawValue};

use super::field::Fields;

/// A parameter and the values, as JSON, that ask for nothing.
pub(super) type Parameter = (&'static str, &'static [&'static str]);

/// The longest value, in bytes, that can be one of the above.
const MAX_NEUTRAL_BYTES: usize = 256;

/// The schema of a parameter that is not offered: one of the values that ask for nothing, if there are such.
fn unoffered(neutral: &[&str]) -> Value {
    let values: Vec<Value> = neutral.iter().filter_map(|value| serde_json::from_str(value).ok()).collect();
    match values.as_slice() {
        [] => serde_json::json!({"not": {}, "description": "not supported"}),
        _ => serde_json::json!({"enum": values, "description": "not supported with other values"}),
    }
}

/// Takes `parameters` and refuses the first that asks for something.
pub(super) fn refuse(fields: &mut Fields<'_>, parameters: &[Parameter]) -> Result<(), Error> {
    for (name, neutral) in parameters {
        fields.note(name, || unoffered(neutral));
        let Some(value) = fields.raw(name) else { continue };
        if neutral.iter().any(|neutral| is_same(value, neutral)) {
            continue;
        }
        let path = fields.path_of(name);
        let message = match neutral {
            [] => format!("{path} is not supported by this server; leave it out"),
            [only] => format!("{path} is not supported by this server with any value but {only}"),
            several => {
                format!("{path} is not supported by this server with any value but {}", several.join(" or "))
            }
        };
        return Err(unsupported(path, message));
    }
    Ok(())
}

/// A parameter, or a value of it, that is valid but not offered.
pub(super) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(Code::UnsupportedParameter, message).with_param(param)
}

fn is_same(value: &RawValue, neutral: &str) -> bool {
    if value.get().len() > MAX_NEUTRAL_BYTES {
        return false;
    }
    match (serde_json::from_str(value.get()), serde_json::from_str(neutral)) {
        (Ok(Value::Number(value)), Ok(Value::Number(neutral))) => value.as_f64() == neutral.as_f64(),
        (Ok::<Value, _>(value), Ok::<Value, _>(neutral)) => value == neutral,
        _ => false,
    }
}
