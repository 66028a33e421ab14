//! Values that a schema names.

use serde_json::Value as Json;

use super::{super::lark, Writer};

impl Writer<'_> {
    /// One of these values, where they are of the type.
    pub(super) fn constants(
        &mut self,
        keyword: &str,
        values: &[Json],
        types: Option<&Json>,
        place: &str,
    ) -> String {
        let is_of = |value: &Json, name: &str| match name {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            _ => value.is_number(),
        };
        let fits = |value: &&Json| match types {
            Some(Json::String(name)) => is_of(value, name),
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).any(|name| is_of(value, name)),
            _ => true,
        };
        let values: Option<Vec<String>> =
            values.iter().filter(fits).map(|value| self.constant(value)).collect();
        match values {
            Some(values) if !values.is_empty() => format!("({})", values.join(" | ")),
            _ => self.anything(keyword, place),
        }
    }

    /// This value; none if it cannot be written.
    fn constant(&self, value: &Json) -> Option<String> {
        let [yes, no, null] = self.notation.words;
        let comma = lark::literal(self.notation.comma);
        let between = |values: Option<Vec<String>>| Some(values?.join(&format!(" {comma} ")));
        Some(match value {
            Json::Null => lark::literal(null),
            Json::Bool(value) => lark::literal(if *value { yes } else { no }),
            Json::Number(number) => lark::literal(&number.to_string()),
            Json::String(text) => (self.notation.quoted)(text)?,
            Json::Array(values) => {
                let values = between(values.iter().map(|value| self.constant(value)).collect())?;
                format!("\"[\" {values} \"]\"")
            }
            Json::Object(members) => {
                let member = |(key, value): (&String, &Json)| {
                    Some(format!("{} {}", (self.notation.key)(key)?, self.constant(value)?))
                };
                format!("\"{{\" {} \"}}\"", between(members.iter().map(member).collect())?)
            }
        })
    }
}
