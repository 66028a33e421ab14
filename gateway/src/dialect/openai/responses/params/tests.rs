use std::{fs, path::Path};

use impetus_proto::worker::{ToolMode, structure};
use serde_json::{Value, json};

use super::*;

fn read(body: &Value) -> Result<Params, Error> {
    Params::read(body.to_string().as_bytes())
}

/// A request with these fields besides its input.
fn with(fields: &str) -> Result<Params, Error> {
    Params::read(format!(r#"{{"input":"hi",{fields}}}"#).as_bytes())
}

fn chat(params: &mut Params) -> Chat {
    params.chat().unwrap().clone()
}

fn ignored(params: &Params) -> String {
    let mut headers = axum::http::HeaderMap::new();
    params.ignored.write(&mut headers);
    headers.get("x-impetus-ignored").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// What the response repeats of the request.
fn repeated(params: &Params) -> Value {
    serde_json::from_str(&serde_json::to_string(&params.asked).unwrap()).unwrap()
}

#[test]
fn a_whole_request_is_translated() {
    let mut params = read(&json!({
        "model": "tiny", "input": "hi", "instructions": "be brief", "previous_response_id": "resp_1",
        "stream": true, "stream_options": {"include_obfuscation": true}, "store": true, "background": true,
        "max_output_tokens": 64, "max_tool_calls": 3, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 2,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs", "file_search_call.results"],
        "metadata": {"k": "v"}, "parallel_tool_calls": false, "truncation": "auto", "service_tier": "auto",
        "reasoning": {"effort": "low", "summary": "auto"}, "user": "u", "safety_identifier": "s",
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "keep_alive": "5m",
        "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}}},
        "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "f"},
        "seed": 7, "top_k": 40, "min_p": 0.05, "stop": ["END"], "made_up": 1,
    }))
    .unwrap();
    assert_eq!(ignored(&params), "tools.web_search,made_up");
    assert!(params.is_streamed && params.is_obfuscated);
    assert_eq!(params.include, Include { logprobs: true, sealed_reasoning: true });
    assert_eq!(params.keep_alive, Some(300));
    let sampling = params.generate.sampling.clone().unwrap();
    assert_eq!((sampling.seed, sampling.temperature, sampling.top_k), (7, 0.5, 40));
    let stopping = params.generate.stopping.clone().unwrap();
    assert_eq!((stopping.max_tokens, stopping.stop), (Some(64), vec!["END".to_owned()]));
    assert_eq!(params.generate.logprobs, Some(Logprobs { top: 2 }));
    let structure = params.generate.structure.clone().unwrap().structure;
    assert_eq!(structure, Some(structure::Structure::JsonSchema(r#"{"type":"object"}"#.into())));
    let chat = chat(&mut params);
    let choice = chat.tool_choice.unwrap();
    assert_eq!(
        (choice.mode(), choice.names, choice.single),
        (ToolMode::Required, vec!["f".to_owned()], true)
    );
    assert_eq!(chat.reasoning.unwrap().effort, "low");
    insta::assert_json_snapshot!(repeated(&params));
}

#[test]
fn what_is_absent_has_the_apis_default() {
    let mut params = read(&json!({"input": "hi"})).unwrap();
    assert_eq!(ignored(&params), "");
    assert!(!params.is_streamed && !params.is_obfuscated);
    assert_eq!((params.generate.logprobs, params.generate.structure.clone()), (None, None));
    assert_eq!(params.generate.stopping.clone().unwrap().max_tokens, None);
    assert_eq!(chat(&mut params), Chat::default());
    insta::assert_json_snapshot!(repeated(&params));
}

#[test]
fn values_that_ask_for_nothing_are_accepted() {
    for fields in [
        r#""stream":null"#,
        r#""conversation":null"#,
        r#""prompt":null"#,
        r#""text":{}"#,
        r#""text":{"format":{"type":"text"}}"#,
        r#""text":{"verbosity":"medium"}"#,
        r#""tools":[]"#,
        r#""tool_choice":"auto""#,
        r#""tool_choice":"none""#,
        r#""reasoning":null"#,
        r#""reasoning":{"effort":null,"summary":null}"#,
        r#""include":[]"#,
        r#""include":["web_search_call.action.sources"]"#,
        r#""truncation":"disabled""#,
        r#""service_tier":"default""#,
        r#""n":1"#,
        r#""top_logprobs":0"#,
        r#""max_tool_calls":5"#,
        r#""stream_options":{"include_obfuscation":false}"#,
    ] {
        let params = with(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        assert_eq!(ignored(&params), "", "{fields}");
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    for (fields, param) in [
        (r#""conversation":"conv_1""#, "conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""messages":[]"#, "messages"),
        (r#""functions":[{"name":"f"}]"#, "functions"),
        (r#""n":2"#, "n"),
        (r#""logprobs":true"#, "logprobs"),
        (r#""service_tier":"flex""#, "service_tier"),
        (r#""text":{"verbosity":"low"}"#, "text.verbosity"),
        (r#""tool_choice":{"type":"web_search_preview"}"#, "tool_choice.type"),
        (r#""tool_choice":{"type":"mcp","server_label":"x"}"#, "tool_choice.type"),
    ] {
        let error = with(fields).expect_err(fields);
        assert_eq!(
            (error.code(), error.param.as_str()),
            (Code::UnsupportedParameter, param),
            "{fields}: {error}"
        );
    }
}

#[test]
fn wrong_values_are_named() {
    for (fields, param) in [
        (r#""input":7"#, "input"),
        (r#""input":[7]"#, "input[0]"),
        (r#""instructions":["a"]"#, "instructions"),
        (r#""previous_response_id":7"#, "previous_response_id"),
        (r#""max_output_tokens":0"#, "max_output_tokens"),
        (r#""top_logprobs":21"#, "top_logprobs"),
        (r#""temperature":2.5"#, "temperature"),
        (r#""truncation":"middle""#, "truncation"),
        (r#""text":"json""#, "text"),
        (r#""text":{"format":{"type":"xml"}}"#, "text.format.type"),
        (r#""text":{"verbosity":"loud"}"#, "text.verbosity"),
        (r#""text":{"format":{"type":"json_object"}},"regex":"a""#, "regex"),
        (r#""reasoning":{"effort":"huge"}"#, "reasoning.effort"),
        (r#""reasoning":{"summary":"long"}"#, "reasoning.summary"),
        (r#""include":"all""#, "include"),
        (r#""metadata":{"k":1}"#, "metadata"),
        (r#""store":1"#, "store"),
        (r#""background":true,"store":false"#, "background"),
        (r#""tool_choice":"required""#, "tool_choice"),
        (r#""tool_choice":"sometimes""#, "tool_choice"),
        (
            r#""tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"g"}"#,
            "tool_choice.name",
        ),
        (r#""tools":[{"type":"web_search"}],"tool_choice":"required""#, "tool_choice"),
    ] {
        let error = with(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{fields}: {error}");
    }
}

#[test]
fn allowed_tools_are_those_that_are_named() {
    let check = |choice: &str, mode: ToolMode, names: &[&str]| {
        let tools = r#"[{"type":"function","name":"f"},{"type":"custom","name":"p"},
            {"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]"#;
        let mut params = with(&format!(r#""tools":{tools},"tool_choice":{choice}"#)).unwrap();
        let read = chat(&mut params).tool_choice.unwrap();
        assert_eq!(
            (read.mode(), read.names),
            (mode, names.iter().map(ToString::to_string).collect()),
            "{choice}"
        );
    };
    check(r#""auto""#, ToolMode::Auto, &[]);
    check(r#""none""#, ToolMode::None, &[]);
    check(r#""required""#, ToolMode::Required, &[]);
    check(r#"{"type":"custom","name":"p"}"#, ToolMode::Required, &["p"]);
    check(r#"{"type":"function","name":"f","namespace":"n"}"#, ToolMode::Required, &["n__f"]);
    check(
        r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"custom","name":"p"}]}"#,
        ToolMode::Required,
        &["f", "p"],
    );
    check(r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}"#, ToolMode::None, &[]);
}

/// Requests as Codex sent them: tools are whole in the first one alone, and said to be so in the others.
#[test]
fn requests_of_codex_are_accepted() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/clients/captures/codex.jsonl");
    let Ok(lines) = fs::read_to_string(captures) else { return };
    let mut tools = Value::Null;
    let mut outcomes = Vec::new();
    for line in lines.lines() {
        let capture: Value = serde_json::from_str(line).unwrap();
        if capture["path"] != "/v1/responses" {
            continue;
        }
        let mut body = capture["body"].clone();
        if body["tools"].is_array() {
            tools = body["tools"].clone();
        } else {
            body["tools"] = tools.clone();
        }
        let has_image = body["input"].to_string().contains("input_image");
        match read(&body) {
            Ok(mut params) => {
                assert!(!has_image);
                let names = ignored(&params);
                assert!(names.contains("tools.web_search") && !names.contains("namespace"), "{names}");
                assert!(chat(&mut params).tools_json.contains("multi_agent_v1__spawn_agent"));
                assert_eq!(
                    params.tools.name_of("multi_agent_v1__spawn_agent").namespace.as_deref(),
                    Some("multi_agent_v1")
                );
                outcomes.push(true);
            }
            Err(error) => {
                assert!(has_image && error.param.starts_with("input["), "{error}");
                outcomes.push(false);
            }
        }
    }
    assert!(outcomes.contains(&true), "some request is in the file");
}
