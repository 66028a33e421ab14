//! Schemas as programs send them, each with a document that keeps to it, put together at random and alike in every run.

use serde_json::{Map, Value, json};

/// Names of properties.
const NAMES: [&str; 24] = [
    "id",
    "name",
    "title",
    "description",
    "status",
    "created_at",
    "email",
    "url",
    "price",
    "quantity",
    "tags",
    "address",
    "street",
    "city",
    "country",
    "phone_number",
    "items",
    "confidence",
    "reasoning",
    "category",
    "isActive",
    "startDate",
    "summary",
    "metadata",
];

const WORDS: [&str; 32] = [
    "the", "customer", "asked", "for", "a", "refund", "because", "delivery", "was", "late", "and", "damaged",
    "on", "arrival", "Berlin", "in", "March", "with", "two", "boxes", "of", "paper", "which", "had", "been",
    "ordered", "online", "before", "noon", "Zürich", "we", "replied",
];

/// How deep objects are within each other.
const DEPTH: usize = 3;

/// Numbers that look random.
struct Random(u64);

/// A schema and a value that is valid under it.
type Pair = (Value, Value);

/// `count` schemas, each with a document; half of the documents are written over several lines.
pub(super) fn pairs(count: u64) -> Vec<(Value, String)> {
    let pair = |n| {
        let (schema, value) = Random(n + 1).object(DEPTH);
        let text =
            if n % 2 == 0 { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        (schema, text.unwrap_or_default())
    };
    (0..count).map(pair).collect()
}

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % limit.max(1) as u64) as usize
    }

    fn object(&mut self, depth: usize) -> Pair {
        let (mut properties, mut value, mut required) = (Map::new(), Map::new(), Vec::new());
        for _ in 0..2 + self.below(6) {
            let name = NAMES[self.below(NAMES.len())];
            if properties.contains_key(name) {
                continue;
            }
            let (mut schema, inner) = self.any(depth);
            if self.below(2) == 0 {
                schema["description"] = json!(self.prose(8));
            }
            properties.insert(name.to_owned(), schema);
            let is_required = self.below(4) > 0;
            if is_required {
                required.push(name);
            }
            if is_required || self.below(2) == 0 {
                value.insert(name.to_owned(), inner);
            }
        }
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        if self.below(2) == 0 {
            schema["additionalProperties"] = json!(false);
        }
        (schema, Value::Object(value))
    }

    fn any(&mut self, depth: usize) -> Pair {
        match self.below(if depth == 0 { 8 } else { 11 }) {
            0 | 1 => self.text(),
            2 => self.formatted(),
            3 => self.number(),
            4 => (json!({"type": "boolean"}), json!(self.below(2) == 0)),
            5 => {
                let all: Vec<_> = (0..2 + self.below(5)).map(|n| WORDS[(n * 7 + 3) % WORDS.len()]).collect();
                let one = all[self.below(all.len())];
                (json!({"type": "string", "enum": all}), json!(one))
            }
            6 => {
                let (schema, value) = self.text();
                let value = if self.below(3) == 0 { Value::Null } else { value };
                (json!({"anyOf": [schema, {"type": "null"}]}), value)
            }
            7 => {
                let (schema, value) = self.text();
                (json!({"type": "array", "items": schema}), json!([value]))
            }
            8 => {
                let (schema, value) = self.object(depth - 1);
                let values = vec![value; 1 + self.below(3)];
                (json!({"type": "array", "items": schema, "minItems": 1, "maxItems": 10}), json!(values))
            }
            9 => {
                let (key, value) = (self.prose(1), self.below(1000));
                (
                    json!({"type": "object", "additionalProperties": {"type": "integer"}}),
                    json!({key: value, "other": 3}),
                )
            }
            _ => self.object(depth - 1),
        }
    }

    fn text(&mut self) -> Pair {
        let length = 1 + self.below(16);
        let prose = self.prose(length);
        match self.below(4) {
            0 => (json!({"type": "string", "minLength": 1, "maxLength": 200}), json!(prose)),
            1 => (
                json!({"type": "string", "pattern": "^[A-Z]{2,3}-[0-9]{2,6}$"}),
                json!(format!("AB-{length:04}")),
            ),
            _ => (
                json!({"type": "string"}),
                json!(format!("{prose}, \"{}\".\n{}", self.prose(2), self.prose(2))),
            ),
        }
    }

    fn formatted(&mut self) -> Pair {
        let n = self.below(28) + 1;
        let (format, value) = [
            ("date", format!("2025-02-{n:02}")),
            ("date-time", format!("2025-02-{n:02}T08:{n:02}:00Z")),
            ("email", format!("jane.doe{n}@mail.example.org")),
            ("uuid", format!("5f0e7f0a-3c1d-4b7e-9a{n:02}-2f6f0c1d8e7b")),
            ("uri", format!("https://www.example.org/orders/{n}?page={n}")),
        ][self.below(5)]
        .clone();
        (json!({"type": "string", "format": format}), json!(value))
    }

    fn number(&mut self) -> Pair {
        let n = self.below(5000);
        match self.below(3) {
            0 => (json!({"type": "integer"}), json!(n)),
            1 => (json!({"type": "integer", "minimum": 0, "maximum": 100}), json!(n % 101)),
            _ => (json!({"type": "number"}), json!(n as f64 / 8.0)),
        }
    }

    fn prose(&mut self, length: usize) -> String {
        (0..length).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }
}
