use std::collections::BTreeSet;

use serde_json::Value;

use super::{operation::OPERATIONS, *};

fn whole() -> Value {
    document().expect("every sample is read")
}

/// All values of the field `name` in `value`, however deep.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == name {
                    found.push(value);
                }
                all(value, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = whole();
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 20, "{}", references.len());
    for reference in references {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).expect("it is local");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn no_two_types_have_one_name() {
    let document = whole();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name} is the name of several types");
    }
}

#[test]
fn operations_have_what_the_specification_asks_for() {
    let document = whole();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{path}");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(answer["description"].is_string(), "{path} {status}");
                assert!(answer["content"].as_object().is_some_and(|content| !content.is_empty()), "{path}");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{path}");
            let is_bare = ["/cancel", "/unload", "/reload"].iter().any(|end| path.ends_with(end));
            let has_body = method == "post" && !is_bare;
            assert_eq!(has_body, operation["requestBody"].is_object(), "{method} {path}");
        }
    }
    assert_eq!(ids.len(), OPERATIONS.len() + admin::OPERATIONS.len());
}

#[test]
fn schemas_are_those_of_the_parsers() {
    let document = whole();
    let schema = |path: &str| {
        let schema = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        (jsonschema::validator_for(schema).expect(path), schema)
    };
    for (path, body) in [
        ("/v1/chat/completions", sample::CHAT),
        ("/v1/completions", sample::COMPLETION),
        ("/v1/embeddings", sample::EMBEDDING),
        ("/v1/rerank", sample::RERANK),
        ("/tokenize", sample::TOKENIZE),
        ("/detokenize", sample::DETOKENIZE),
        ("/infill", sample::INFILL),
        ("/completion", sample::NATIVE),
        ("/v1/responses", sample::RESPONSE),
        ("/v1/messages", sample::MESSAGE),
        ("/v1/messages/count_tokens", sample::MESSAGE),
        ("/api/chat", sample::OLLAMA_CHAT),
        ("/api/generate", sample::OLLAMA_GENERATE),
        ("/api/embed", sample::OLLAMA_EMBED),
        ("/api/embeddings", sample::OLLAMA_EMBEDDING),
        ("/api/show", sample::OLLAMA_SHOW),
    ] {
        let (validator, _) = schema(path);
        let body: Value = serde_json::from_str(body).expect("samples are JSON");
        assert!(validator.validate(&body).is_ok(), "{path}: {:?}", validator.validate(&body));
    }
    let (validator, chat) = schema("/v1/chat/completions");
    let refused = [
        r#"{"messages":[],"stream":1}"#,
        r#"{"messages":[],"temperature":"hot"}"#,
        r#"{"messages":[],"top_logprobs":99}"#,
        r#"{"messages":[{"role":7}]}"#,
        r#"{"messages":[],"stream_options":{"include_usage":"yes"}}"#,
    ];
    for body in refused {
        assert!(!validator.is_valid(&serde_json::from_str(body).unwrap()), "{body}");
    }
    for pointer in ["/properties/model", "/properties/messages/items/properties/role", "/properties/seed"] {
        assert!(chat.pointer(pointer).is_some(), "{pointer} of {chat}");
    }
}

#[test]
fn the_page_on_ollamas_api_lists_every_field() {
    let page = include_str!("../../../../../docs/ollama.md");
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split(" |").next())
        .flat_map(|cell| cell.split('`').step_by(2))
        .collect();
    let document = whole();
    let mut n_fields = 0;
    for path in ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"] {
        let schema = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let fields = schema["properties"].as_object().unwrap();
        let options = schema["properties"]["options"]["properties"].as_object();
        for name in fields.keys().chain(options.into_iter().flat_map(|options| options.keys())) {
            assert!(listed.contains(name.as_str()), "{name} of {path} is not in docs/ollama.md");
            n_fields += 1;
        }
    }
    assert!(n_fields > 90, "{n_fields}");
}
