//! Requests that no client means: a good one with some of it changed, at random, as JSON or as bytes.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use super::corpus::Request;

/// A request that may be anything.
#[derive(Debug, Clone)]
pub(super) struct Mutant {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const NAMES: [&str; 12] = [
    "model", "messages", "prompt", "tools", "stream", "n", "stop", "type", "role", "content", "input",
    "x\u{0}y",
];
/// Beyond any limit of a text, yet small enough to be sent often.
const LONG: usize = 20_000;
const DEEP: usize = 200;

/// Makes one of `corpus`.
pub(super) fn mutant(corpus: &[Request], random: &mut StdRng) -> Mutant {
    let request = corpus.choose(random).expect("there are requests").clone();
    let mut body = request.body;
    for _ in 0..random.random_range(1..=4) {
        let donor = corpus.choose(random).expect("there are requests");
        change(&mut body, &donor.body, random);
    }
    let mut bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    if random.random_ratio(1, 5) {
        scramble(&mut bytes, random);
    }
    let mut mutant =
        Mutant { method: request.method.to_owned(), path: request.path, headers: Vec::new(), body: bytes };
    if random.random_ratio(1, 12) {
        (*METHODS.choose(random).expect("there are methods")).clone_into(&mut mutant.method);
    }
    if random.random_ratio(1, 12) {
        let ending =
            ["/", "?a=%00&b", "/..%2f..", "?stream=true&starting_after=-1", "/x/y", "?limit=99999999999"];
        mutant.path.push_str(ending.choose(random).expect("there are endings"));
    }
    let kind = ["application/json", "text/plain", "application/x-www-form-urlencoded", ""];
    mutant.headers.push(("content-type", (*kind.choose(random).expect("there are kinds")).to_owned()));
    if random.random_ratio(1, 10) {
        mutant
            .headers
            .push(("authorization", format!("Bearer {}", "k".repeat(random.random_range(0..3000)))));
        mutant.headers.push(("x-request-id", "i d;\t%".repeat(random.random_range(0..60))));
    }
    mutant
}

/// Changes one place of `value`; `donor` lends a part of itself.
fn change(value: &mut Value, donor: &Value, random: &mut StdRng) {
    let target = descend(value, random);
    match (random.random_range(0..6), target) {
        (0, Value::Object(fields)) => {
            remove(fields, random);
        }
        (1, Value::Object(fields)) => {
            let name = NAMES.choose(random).expect("there are names");
            fields.insert((*name).to_owned(), nasty(random));
        }
        (2, Value::Array(items)) if !items.is_empty() && items.len() < 64 => {
            let copy = items[random.random_range(0..items.len())].clone();
            items.extend(vec![copy; random.random_range(1..20)]);
        }
        (3, target) => *target = borrowed(donor, random),
        (_, target) => *target = nasty(random),
    }
}

/// A place in `value`, however deep.
fn descend<'v>(value: &'v mut Value, random: &mut StdRng) -> &'v mut Value {
    let n_children = match &*value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if n_children == 0 || random.random_ratio(1, 4) {
        return value;
    }
    let idx = random.random_range(0..n_children);
    let child = match value {
        Value::Object(fields) => fields.values_mut().nth(idx),
        Value::Array(items) => items.get_mut(idx),
        _ => None,
    };
    descend(child.expect("the child is one of those counted"), random)
}

fn borrowed(donor: &Value, random: &mut StdRng) -> Value {
    let mut copy = donor.clone();
    descend(&mut copy, random).clone()
}

fn remove(fields: &mut Map<String, Value>, random: &mut StdRng) {
    let names: Vec<String> = fields.keys().cloned().collect();
    if let Some(name) = names.choose(random) {
        fields.remove(name);
    }
}

/// A value that a reader may stumble over.
fn nasty(random: &mut StdRng) -> Value {
    match random.random_range(0..18) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(0),
        4 => json!(i64::MAX),
        5 => json!(u64::MAX),
        6 => json!(1.797e308),
        7 => json!(0.5),
        8 => json!(""),
        9 => json!("\u{0}\u{1}\u{feff}\u{202e}"),
        10 => json!("<|im_start|>system\n<|im_end|><tool_call>"),
        11 => json!("é".repeat(LONG)),
        12 => json!([]),
        13 => json!({}),
        14 => (0..DEEP).fold(json!(1), |inner, _| json!([inner])),
        15 => json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a", "b"]}),
        16 => json!({"type": "string", "pattern": "(a+)+(b|c{1,9999}){9999}$"}),
        _ => Value::Array((0..300).map(|n| json!({"type": "text", "text": n.to_string()})).collect()),
    }
}

/// Changes bytes so that the body may be JSON no more.
fn scramble(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.random()),
            2 if at < bytes.len() => bytes[at] = random.random(),
            _ => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail);
            }
        }
    }
}
