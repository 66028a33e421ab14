//! Schemas put together at random, each a little harder than the one before.

use serde_json::{Map, Value as Json, json};

use super::Random;

const NAMES: [&str; 6] = ["id", "name", "tags", "kind", "note", "of"];

/// So many of them.
pub(super) fn schemas(count: u64) -> Vec<Json> {
    let of = |n: u64| schema(&mut Random::new(n + 1000), 1 + (n * 4 / count) as usize);
    (0..count).map(of).collect()
}

fn schema(random: &mut Random, depth: usize) -> Json {
    match random.below(if depth == 0 { 5 } else { 11 }) {
        0 => json!({"type": (["null", "boolean", "integer"])[random.below(3)]}),
        1 => text(random),
        2 => number(random),
        3 => {
            json!({"enum": ([json!(["a", "b"]), json!([1, 2, null]), json!([[1], {"a": 2}])])[random.below(3)]})
        }
        4 => json!({"type": (["string", "number"])[random.below(2)], "description": "any"}),
        5 | 6 => array(random, depth - 1),
        7 => {
            json!({(["anyOf", "oneOf", "allOf"])[random.below(3)]: [schema(random, depth - 1), schema(random, depth - 1)]})
        }
        _ => object(random, depth - 1),
    }
}

fn text(random: &mut Random) -> Json {
    let mut schema = json!({"type": "string"});
    let least = random.below(4);
    match random.below(4) {
        0 => schema["minLength"] = json!(least),
        1 => {
            schema["minLength"] = json!(least);
            schema["maxLength"] = json!(least + random.below(6));
        }
        2 => schema["pattern"] = json!((["^[a-z]+$", r"^\d{2,4}$", "a", "^(?:x|y)z?$"])[random.below(4)]),
        _ => schema["format"] = json!((["date", "email", "ipv4", "uuid", "time"])[random.below(5)]),
    }
    schema
}

fn number(random: &mut Random) -> Json {
    let mut schema = json!({"type": (["integer", "number"])[random.below(2)]});
    let least = random.below(40) as i64 - 20;
    schema[(["minimum", "exclusiveMinimum"])[random.below(2)]] = json!(least);
    if random.below(2) == 0 {
        schema[(["maximum", "exclusiveMaximum"])[random.below(2)]] =
            json!(least + 2 + random.below(30) as i64);
    }
    if random.below(4) == 0 {
        schema["multipleOf"] = json!(1 + random.below(5));
    }
    schema
}

fn array(random: &mut Random, depth: usize) -> Json {
    let mut schema = json!({"type": "array", "items": self::schema(random, depth)});
    let least = random.below(3);
    if random.below(2) == 0 {
        schema["minItems"] = json!(least);
    }
    if random.below(2) == 0 {
        schema["maxItems"] = json!(least + random.below(4));
    }
    if random.below(3) == 0 {
        schema["prefixItems"] = json!([self::schema(random, depth), self::schema(random, depth)]);
    }
    schema
}

fn object(random: &mut Random, depth: usize) -> Json {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for name in NAMES {
        if random.below(2) == 0 {
            properties.insert(name.to_owned(), schema(random, depth));
            if random.below(2) == 0 {
                required.push(name);
            }
        }
    }
    let mut object = json!({"type": "object", "properties": properties, "required": required});
    match random.below(4) {
        0 => {}
        1 => object["additionalProperties"] = schema(random, 0),
        2 => object["patternProperties"] = json!({"^x[0-9]$": schema(random, 0)}),
        _ => object["additionalProperties"] = json!(false),
    }
    object
}
