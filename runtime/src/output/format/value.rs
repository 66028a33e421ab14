//! Arguments that a model writes as bare text between tags, turned into JSON by what the tool's schema says of them.

use std::{
    cell::Cell,
    ops::{BitAnd, BitOr},
};

use serde_json::Value as Json;

use super::{Tool, python};

/// The types of JSON values that a schema allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

/// References to references that are followed within a schema.
const MAX_DEPTH: u8 = 16;

/// Parts of a schema that are looked at for one argument; of what is larger nothing is said.
const MAX_PARTS: u32 = 1024;

impl Types {
    const NONE: Self = Self(0);
    /// Strings alone.
    pub(super) const STRING: Self = Self(1);
    const NUMBER: Self = Self(2);
    const BOOLEAN: Self = Self(4);
    const NULL: Self = Self(8);
    const OBJECT: Self = Self(16);
    const ARRAY: Self = Self(32);
    const ANY: Self = Self(63);
    /// What is written as JSON, whatever it is.
    pub(super) const JSON: Self = Self(62);

    /// What `tool` takes as the argument `name`; anything where its schema does not say.
    pub(super) fn of(tool: Option<&Tool>, name: &str) -> Self {
        tool.and_then(|tool| Some((&tool.parameters, property(&tool.parameters, name)?)))
            .map_or(Self::ANY, |(root, schema)| {
                Self::of_schema(root, schema, MAX_DEPTH, &Cell::new(MAX_PARTS))
            })
    }

    /// Bare text is a string, whatever it looks like.
    pub(super) fn only_strings(self) -> bool {
        self == Self::STRING
    }

    /// Strings are among them.
    pub(super) fn has_strings(self) -> bool {
        self.allows(Self::STRING)
    }

    /// The JSON of an argument that was written as `bare` text. A value that reads as one of the types is that value,
    /// as it was written; anything else is a string.
    pub(super) fn json(self, bare: &str) -> String {
        if !self.only_strings()
            && let Some(json) = self.parse(bare.trim())
        {
            return json;
        }
        let mut json = String::from("\"");
        escape(bare, &mut json);
        json.push('"');
        json
    }

    fn parse(self, bare: &str) -> Option<String> {
        match serde_json::from_str::<Json>(bare) {
            // Quotes belong to a string that is written bare.
            Ok(Json::String(_)) if self.allows(Self::STRING) => None,
            Ok(value) if self.allows(Self::of_value(&value)) || !self.allows(Self::STRING) => {
                Some(bare.to_owned())
            }
            Ok(_) => None,
            // Some templates print as Python does.
            Err(_) => match bare {
                "True" if self.allows(Self::BOOLEAN) => Some("true".to_owned()),
                "False" if self.allows(Self::BOOLEAN) => Some("false".to_owned()),
                "None" if self.allows(Self::NULL) => Some("null".to_owned()),
                _ if self.allows(Self::OBJECT | Self::ARRAY) => python::json(bare),
                _ => None,
            },
        }
    }

    fn allows(self, other: Self) -> bool {
        self & other != Self::NONE
    }

    fn of_value(value: &Json) -> Self {
        match value {
            Json::String(_) => Self::STRING,
            Json::Number(_) => Self::NUMBER,
            Json::Bool(_) => Self::BOOLEAN,
            Json::Null => Self::NULL,
            Json::Object(_) => Self::OBJECT,
            Json::Array(_) => Self::ARRAY,
        }
    }

    /// `left` is how many parts may still be looked at: references may make more of a schema than there is.
    fn of_schema(root: &Json, schema: &Json, depth: u8, left: &Cell<u32>) -> Self {
        let (Some(depth), Some(fewer)) = (depth.checked_sub(1), left.get().checked_sub(1)) else {
            return Self::ANY;
        };
        left.set(fewer);
        let of = |schema: &Json| Self::of_schema(root, schema, depth, left);
        let any_of = |schemas: &Json| union(schemas.as_array().into_iter().flatten().map(of));
        let mut types = Self::ANY;
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            types = types
                & match (keyword.as_str(), value) {
                    ("type", Json::String(name)) => Self::named(name),
                    ("type", Json::Array(names)) => {
                        union(names.iter().filter_map(Json::as_str).map(Self::named))
                    }
                    ("const", value) => Self::of_value(value),
                    ("enum", Json::Array(values)) => union(values.iter().map(Self::of_value)),
                    ("anyOf" | "oneOf", schemas) => any_of(schemas),
                    ("allOf", Json::Array(schemas)) => schemas.iter().map(of).fold(Self::ANY, BitAnd::bitand),
                    ("$ref", Json::String(reference)) => {
                        reference.strip_prefix('#').and_then(|path| root.pointer(path)).map_or(Self::ANY, of)
                    }
                    _ => Self::ANY,
                };
        }
        // A schema that nothing satisfies says nothing about what the text is.
        if types == Self::NONE { Self::ANY } else { types }
    }

    fn named(name: &str) -> Self {
        match name {
            "string" => Self::STRING,
            "number" | "integer" => Self::NUMBER,
            "boolean" => Self::BOOLEAN,
            "null" => Self::NULL,
            "object" => Self::OBJECT,
            "array" => Self::ARRAY,
            _ => Self::ANY,
        }
    }
}

impl BitAnd for Types {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Types {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Appends `text` as it stands between the quotes of a JSON string. Texts may be escaped piece by piece.
pub(super) fn escape(text: &str, json: &mut String) {
    let quoted = Json::from(text).to_string();
    json.push_str(quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default());
}

/// Whether the objects that `schema` describes have the listed properties alone: as in what is enforced of a schema,
/// those that list some have no others unless it says so.
pub(super) fn is_closed(schema: &Json) -> bool {
    const OTHERS: [&str; 5] = ["patternProperties", "allOf", "anyOf", "oneOf", "$ref"];
    match schema.get("additionalProperties") {
        Some(others) => others == &Json::Bool(false),
        None => schema.get("properties").is_some() && OTHERS.iter().all(|name| schema.get(name).is_none()),
    }
}

/// The schema of the property `name` of the objects that `schema` describes.
fn property<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    let listed = schema.get("properties").and_then(|properties| properties.get(name));
    listed.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

fn union(types: impl Iterator<Item = Types>) -> Types {
    types.fold(Types::NONE, BitOr::bitor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Tool;
    use super::{Types, escape};

    #[test]
    fn bare_text_is_what_the_schema_says() {
        let check = |schema: serde_json::Value, bare: &str, expected: &str| {
            let many = vec![json!({"$ref": "#/$defs/many"}); 60];
            let parameters = json!({
                "type": "object",
                "properties": {"x": schema},
                "$defs": {"unit": {"enum": ["c", "f"]}, "loop": {"$ref": "#/$defs/loop"}, "n": {"type": "integer"},
                    "many": {"anyOf": many}},
            });
            let tool = Tool { name: "t".to_owned(), parameters, ..Tool::default() };
            assert_eq!(Types::of(Some(&tool), "x").json(bare), expected, "{bare:?} under {schema}");
        };
        check(json!({"type": "string"}), "3", r#""3""#);
        check(json!({"type": "string"}), " a\n\"b\" \u{e9}\u{1f600}\u{7}", r#"" a\n\"b\" é😀\u0007""#);
        check(json!({"type": "string"}), "", r#""""#);
        check(json!({"type": "integer"}), "3", "3");
        check(json!({"$ref": "#/$defs/many"}), "3", "3");
        check(json!({"type": "integer"}), " 3\n", "3");
        check(json!({"type": "integer"}), "three", r#""three""#);
        check(json!({"type": "integer"}), "\"3\"", "\"3\"");
        check(json!({"type": "number"}), "1.50e3", "1.50e3");
        check(json!({"type": "boolean"}), "true", "true");
        check(json!({"type": "boolean"}), "True", "true");
        check(json!({"type": "boolean"}), "False", "false");
        check(json!({"type": "object"}), r#"{"a" : [1, null]}"#, r#"{"a" : [1, null]}"#);
        check(json!({"type": "array"}), "['a', None]", r#"["a", null]"#);
        check(json!({"type": "string"}), "['a', None]", r#""['a', None]""#);
        check(json!({"type": "array"}), "[1, 2", r#""[1, 2""#);
        check(json!({"type": ["string", "null"]}), "null", "null");
        check(json!({"type": ["string", "null"]}), "None", "null");
        check(json!({"type": ["string", "null"]}), "nil", r#""nil""#);
        check(json!({"type": ["string", "null"]}), "12", r#""12""#);
        check(json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), "12", "12");
        check(json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), "true", r#""true""#);
        check(json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), "\"12\"", r#""\"12\"""#);
        check(json!({"allOf": [{"type": ["string", "integer"]}, {"type": ["integer", "null"]}]}), "1", "1");
        check(json!({"enum": ["1", "2"]}), "1", r#""1""#);
        check(json!({"const": 1}), "1", "1");
        check(json!({"$ref": "#/$defs/unit"}), "1", r#""1""#);
        check(json!({"$ref": "#/$defs/n"}), "1", "1");
        check(json!({"$ref": "#/$defs/loop"}), "1", "1");
        check(json!({"$ref": "#/nowhere"}), "true", "true");
        check(json!({}), "true", "true");
        check(json!({}), "true or not", r#""true or not""#);
        check(json!(true), "[]", "[]");
        check(json!({"type": []}), "7", "7");
    }

    #[test]
    fn what_no_schema_says_is_read_as_json() {
        let tool = |parameters| Tool { name: "t".to_owned(), parameters, ..Tool::default() };
        let check = |tool: Option<&Tool>, bare: &str, expected: &str| {
            assert_eq!(Types::of(tool, "x").json(bare), expected, "{bare:?} for {tool:?}");
        };
        check(None, "1", "1");
        check(None, "one", r#""one""#);
        check(Some(&tool(json!({"type": "object"}))), "{}", "{}");
        check(Some(&tool(json!({"additionalProperties": {"type": "string"}}))), "1", r#""1""#);
        check(Some(&tool(json!({"additionalProperties": false}))), "1", "1");
        check(Some(&tool(json!(null))), "1", "1");
    }

    proptest::proptest! {
        #[test]
        fn a_text_may_be_escaped_in_pieces(text in "(\\PC|[\"\\\\\n\t\u{0}])*", cut in 0..64_usize) {
            let cut = (0..=cut.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            let (mut whole, mut pieces) = (String::new(), String::new());
            escape(&text, &mut whole);
            escape(&text[..cut], &mut pieces);
            escape(&text[cut..], &mut pieces);
            proptest::prop_assert_eq!(&whole, &pieces);
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{whole}\"")).ok(), Some(text));
        }
    }
}
