//! What each keyword of JSON Schema is to us.

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    /// Its value is a schema.
    Schema,
    /// Its value is a list of schemas.
    Schemas,
    /// Its value is an object of schemas.
    SchemasByName,
    /// Its value is an object of schemas that hold only where something refers to them.
    Definitions,
    /// Has a rule of its own.
    Ruled,
    /// Says nothing about which values are valid.
    Annotation,
    /// Cannot be honoured.
    Refused(&'static str),
}

/// What becomes of `keyword`.
pub(super) fn of(keyword: &str) -> Keyword {
    match keyword {
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Keyword::Schemas,
        "additionalProperties" => Keyword::Schema,
        "properties" | "patternProperties" => Keyword::SchemasByName,
        "$defs" | "definitions" => Keyword::Definitions,

        "type"
        | "const"
        | "enum"
        | "$ref"
        | "items"
        | "additionalItems"
        | "minItems"
        | "maxItems"
        | "uniqueItems"
        | "required"
        | "minProperties"
        | "maxProperties"
        | "propertyNames"
        | "minLength"
        | "maxLength"
        | "pattern"
        | "format"
        | "minimum"
        | "maximum"
        | "exclusiveMinimum"
        | "exclusiveMaximum"
        | "multipleOf"
        | "not"
        | "nullable"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "$schema"
        | "$id"
        | "id"
        | "$anchor"
        | "dependentRequired"
        | "dependentSchemas"
        | "dependencies" => Keyword::Ruled,

        "title"
        | "description"
        | "default"
        | "examples"
        | "example"
        | "$comment"
        | "deprecated"
        | "readOnly"
        | "writeOnly"
        | "contentEncoding"
        | "contentMediaType"
        | "contentSchema"
        | "discriminator"
        | "externalDocs"
        | "xml"
        | "markdownDescription"
        | "enumDescriptions"
        | "markdownEnumDescriptions"
        | "enumNames" => Keyword::Annotation,

        "contains" | "minContains" | "maxContains" => {
            Keyword::Refused("cannot be enforced while an output is written")
        }
        "if" | "then" | "else" => {
            Keyword::Refused("cannot be enforced; use anyOf with one schema for each case")
        }
        "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor" | "$vocabulary" => {
            Keyword::Refused("cannot be enforced; use $ref")
        }
        "x-guidance" => Keyword::Refused("is not open to requests"),
        extension if extension.starts_with("x-") => Keyword::Annotation,
        _ => Keyword::Refused("is not a keyword that can be enforced"),
    }
}
