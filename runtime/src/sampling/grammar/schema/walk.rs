//! The walk over a schema: every keyword of every part of it is looked at once.

mod closed;
mod reference;
mod rule;
mod value;

use serde_json::{Map, Value as Json};

use super::{keyword, keyword::Keyword, place::Place};
use crate::sampling::grammar::GrammarError;
use reference::References;

/// Schemas within schemas.
const MAX_DEPTH: usize = 64;

/// Parts of one schema.
const MAX_PARTS: usize = 20_000;

/// Bytes of the pointers to all parts of one schema.
const MAX_POINTER_BYTES: usize = 8 << 20;

/// The largest integer that every reader of JSON reads as it is.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// What is known of a schema while it is walked over.
pub(super) struct Walk {
    references: References,
    n_parts: usize,
    pointer_bytes: usize,
    /// The schema is of a draft in which `items` is about all items.
    is_old: bool,
}

/// A part of a schema on its way to what is written.
struct Part<'a> {
    schema: &'a Map<String, Json>,
    place: &'a Place,
    written: Map<String, Json>,
}

impl Walk {
    /// The whole schema as it is written.
    pub(super) fn over(schema: &Json) -> Result<Json, GrammarError> {
        let mut walk =
            Self { references: References::new(schema), n_parts: 0, pointer_bytes: 0, is_old: false };
        let mut written = walk.schema(schema, &Place::root())?;
        walk.references.settle(&mut written)?;
        closed::close(&mut written);
        Ok(written)
    }

    fn schema(&mut self, schema: &Json, place: &Place) -> Result<Json, GrammarError> {
        self.n_parts += 1;
        self.pointer_bytes += place.from.len();
        let refused =
            |reason: &str| GrammarError::Schema { place: place.from.clone(), reason: reason.to_owned() };
        if place.depth > 2 * MAX_DEPTH || self.n_parts > MAX_PARTS {
            return Err(refused("is too large: at most 20,000 parts, 64 within each other, are supported"));
        }
        if self.pointer_bytes > MAX_POINTER_BYTES {
            return Err(refused("is too large: its names are too long for the number of its parts"));
        }
        self.references.found(place);
        let schema = match schema {
            Json::Bool(_) => return Ok(schema.clone()),
            Json::Object(schema) => schema,
            _ => return Err(refused("is neither an object nor a boolean")),
        };
        let mut part = Part { schema, place, written: Map::new() };
        for (name, value) in schema {
            match keyword::of(name) {
                Keyword::Schema => {
                    let inner = self.schema(value, &place.at(name))?;
                    part.write(name, inner);
                }
                Keyword::Schemas => {
                    let inner = self.list(value, name, name, place)?;
                    part.write(name, inner);
                }
                Keyword::SchemasByName => self.by_name(&mut part, name, value)?,
                Keyword::Definitions => self.definitions(&mut part, name, value)?,
                Keyword::Ruled => self.rule(&mut part, name, value)?,
                Keyword::Annotation => {}
                Keyword::Refused(reason) => return Err(place.refused(name, reason)),
            }
        }
        part.check()?;
        Ok(if part.written.get("not") == Some(&Json::Bool(true)) {
            Json::Bool(false)
        } else {
            Json::Object(part.written)
        })
    }

    /// A list of schemas, which is written under the name `to`.
    fn list(&mut self, value: &Json, name: &str, to: &str, place: &Place) -> Result<Json, GrammarError> {
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| place.refused(name, "is not a list with schemas in it"))?;
        let place = place.moved(name, to);
        let inner =
            list.iter().enumerate().map(|(idx, schema)| self.schema(schema, &place.at(&idx.to_string())));
        Ok(Json::Array(inner.collect::<Result<_, _>>()?))
    }

    fn by_name(&mut self, part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
        let place = part.place.at(name);
        let schemas =
            value.as_object().ok_or_else(|| part.place.refused(name, "is not an object of schemas"))?;
        let mut written = Map::new();
        for (key, schema) in schemas {
            let key_to = if name == "patternProperties" {
                super::pattern::translate(key)
                    .map_err(|reason| part.place.refused(name, format!("`{key}` {reason}")))?
            } else {
                value::check_text(key, name, part.place)?;
                key.clone()
            };
            let inner = self.schema(schema, &place.moved(key, &key_to))?;
            written.insert(key_to, inner);
        }
        part.add(name, written);
        Ok(())
    }

    /// Definitions that nothing refers to may be anything, so what is wrong with one is told when something does.
    fn definitions(&mut self, part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
        let place = part.place.at(name);
        let schemas =
            value.as_object().ok_or_else(|| part.place.refused(name, "is not an object of schemas"))?;
        let mut written = Map::new();
        for (key, schema) in schemas {
            let place = place.at(key);
            let before = self.references.n_wanted();
            match self.schema(schema, &place) {
                Ok(inner) => drop(written.insert(key.clone(), inner)),
                Err(error) => self.references.broken(&place, error, before),
            }
        }
        part.add(name, written);
        Ok(())
    }
}

impl Part<'_> {
    fn write(&mut self, name: &str, value: Json) {
        self.written.insert(name.to_owned(), value);
    }

    /// Adds to an object of schemas.
    fn add(&mut self, name: &str, schemas: Map<String, Json>) {
        let entry = self.written.entry(name).or_insert_with(|| Json::Object(Map::new()));
        if let Some(object) = entry.as_object_mut() {
            object.extend(schemas);
        }
    }

    /// Adds a schema that has to hold as well.
    fn require(&mut self, schema: Json) {
        let entry = self.written.entry("allOf").or_insert_with(|| Json::Array(Vec::new()));
        if let Some(list) = entry.as_array_mut() {
            list.push(schema);
        }
    }

    fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.schema.contains_key(*name))
    }

    /// Rules about several keywords together.
    fn check(&mut self) -> Result<(), GrammarError> {
        // A key that no property names may be said twice, and counts once then.
        let n_required = self.written.get("required").and_then(Json::as_array).map_or(0, Vec::len);
        let least = self.written.get("minProperties").and_then(Json::as_u64).unwrap_or(0);
        if least > n_required as u64 + 1 {
            let reason =
                "cannot be enforced beyond one more than the required properties; name them in `required`";
            return Err(self.place.refused("minProperties", reason));
        }
        // Readers round larger numbers, and then they are multiples of something else.
        let bounds =
            [("minimum", "exclusiveMinimum", -MAX_INTEGER), ("maximum", "exclusiveMaximum", MAX_INTEGER)];
        for (bound, exclusive, limit) in bounds {
            if self.written.contains_key("multipleOf") && !self.has(&[bound, exclusive]) {
                self.write(bound, Json::from(limit));
            }
        }
        Ok(())
    }
}
