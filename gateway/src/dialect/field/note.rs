//! What parsers ask of a body, noted while they read one: the description of the API is made of the parsers themselves,
//! and nothing is declared twice.

use std::cell::RefCell;

use impetus_proto::Error;
use serde_json::{Map, Value, json};

thread_local! {
    /// The schema that is being made on this thread, if one is.
    static SCHEMA: RefCell<Option<Value>> = const { RefCell::new(None) };
}

/// The JSON Schema of the bodies that `read` reads, as far as it comes in reading one.
pub(in crate::dialect) fn schema_of(read: impl FnOnce() -> Result<(), Error>) -> Result<Value, Error> {
    SCHEMA.set(Some(json!({"type": "object"})));
    let result = read();
    let schema = SCHEMA.take();
    result.map(|()| schema.unwrap_or_default())
}

/// Notes what a field may be; `said` gives its path and its schema, and is asked only where somebody listens.
pub(in crate::dialect) fn note(said: impl FnOnce() -> (String, Value)) {
    SCHEMA.with_borrow_mut(|schema| {
        if let Some(schema) = schema {
            let (path, said) = said();
            merge(place(schema, &path), said);
        }
    });
}

/// The place of a path such as `messages[0].content` in a schema.
fn place<'a>(schema: &'a mut Value, path: &str) -> &'a mut Value {
    let mut at = schema;
    for step in path.split('.') {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        at = within(within(at, "properties"), name);
        for _ in indices.matches(']') {
            at = within(at, "items");
        }
    }
    at
}

fn within<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    &mut value[name]
}

/// Adds what is said to what is known; what was said first stays.
fn merge(known: &mut Value, said: Value) {
    if !known.is_object() {
        *known = Value::Object(Map::new());
    }
    if let (Some(known), Value::Object(said)) = (known.as_object_mut(), said) {
        for (name, value) in said {
            known.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::field::Fields;

    #[test]
    fn what_is_asked_for_is_noted_where_it_stands() {
        let body = br#"{"a":"x","items":[{"deep":{"n":1}},{"w":"one"}],"limits":{}}"#;
        let read = || {
            let mut fields = Fields::of_body(body)?;
            fields.text("a")?;
            fields.flag("b")?;
            fields.integer("c", 0..=7)?;
            fields.number("d", -1.0..=1.0)?;
            for (idx, item) in
                fields.array("items", "an array of things", 9)?.unwrap_or_default().iter().enumerate()
            {
                let mut item = Fields::of(item, format!("items[{idx}]"))?;
                if let Some(mut deep) = item.object("deep")? {
                    deep.integer("n", i64::MIN..=i64::MAX)?;
                }
                item.word("w", &["one", "two"])?;
            }
            fields.object("limits")?;
            fields.raw("any");
            Ok(())
        };
        let deep = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let word = json!({"type": "string", "enum": ["one", "two"]});
        let items = json!({"properties": {"deep": deep, "w": word}});
        let expected = json!({"type": "object", "properties": {
            "a": {"type": "string"},
            "b": {"type": "boolean"},
            "c": {"type": "integer", "minimum": 0, "maximum": 7},
            "d": {"type": "number", "minimum": -1.0, "maximum": 1.0},
            "items": {"type": "array", "description": "an array of things", "maxItems": 9, "items": items},
            "limits": {"type": "object"},
            "any": {},
        }});
        assert_eq!(schema_of(read).unwrap(), expected);
        assert_eq!(SCHEMA.take(), None, "nobody listens any more");
    }
}
