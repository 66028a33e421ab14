//! JSON schemas, checked keyword by keyword and written in the words that llguidance enforces.
//!
//! llguidance passes over keywords that a draft does not know, and over formats and escapes in places; here every
//! keyword is enforced, an annotation, or refused by name and place. What is written may allow less than the schema
//! does, never more: keys have one spelling, dates exist, white space is bounded.

mod format;
mod keyword;
mod pattern;
mod place;
mod walk;

use serde_json::{Map, Value as Json, json};

use super::GrammarError;
use walk::Walk;

/// llguidance's own keyword.
const OPTIONS: &str = "x-guidance";

/// Escapes within strings: one for each character that needs one, so that no key can be spelled in two ways.
const ESCAPES: &str = "nrbtf\\\"";

/// Between the parts of a value: at most a blank line and an indentation, so that no output is white space for ever.
const WHITE_SPACE: &str = r"\x20{1,2}|\t|(?:\r?\n){1,2}[\x20\t]{0,60}";

/// The schema in the words that llguidance enforces, for `%json` in a Lark grammar.
pub fn narrow(schema: &Json) -> Result<Json, GrammarError> {
    let mut root = match Walk::over(schema)? {
        Json::Object(root) => root,
        Json::Bool(true) => Map::new(),
        _ => {
            let reason = "is `false`: nothing satisfies it".to_owned();
            return Err(GrammarError::Schema { place: "#".to_owned(), reason });
        }
    };
    root.insert(OPTIONS.to_owned(), options());
    Ok(Json::Object(root))
}

/// The same for a schema in a text that this process wrote: what was narrowed before stays as it is. A request may not
/// say so of its schema, which is why those that come with requests are narrowed first.
pub(super) fn narrow_once(schema: Json) -> Result<Json, GrammarError> {
    if schema.get(OPTIONS) == Some(&options()) { Ok(schema) } else { narrow(&schema) }
}

fn options() -> Json {
    json!({"json_allowed_escapes": ESCAPES, "whitespace_pattern": WHITE_SPACE})
}
