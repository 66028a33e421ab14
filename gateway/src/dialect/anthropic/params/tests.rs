//! A walk over every field that the API defines, betas included, as docs/anthropic.md lists them: each is honoured or
//! refused by name, and none is left to be ignored.

use impetus_proto::{
    Code,
    worker::{Reasoning, Structure, ToolMode, structure},
};

use super::*;

fn read(fields: &str) -> Result<Params, Error> {
    Params::read(
        format!(r#"{{"max_tokens":8,"messages":[{{"role":"user","content":"hi"}}]{fields}}}"#).as_bytes(),
    )
}

fn taken(fields: &str) -> Params {
    let params = read(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
    assert_eq!(params.ignored, Ignored::default(), "{fields}");
    params
}

fn refused(body: &str) -> (Code, String) {
    let error = Params::read(body.as_bytes()).expect_err(body);
    (error.code(), error.param)
}

fn chat(params: Params) -> Chat {
    let Some(Input::Chat(chat)) = params.generate.input else { panic!("it is a chat") };
    chat
}

#[test]
fn what_is_absent_has_the_apis_default() {
    let params = taken("");
    assert_eq!((params.model.as_str(), params.is_streamed, params.has_edits), ("", false, false));
    assert_eq!(params.thoughts, Shown::No);
    let sampling = params.generate.sampling.clone().unwrap();
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (1.0, Some(1.0), 0));
    let stopping = params.generate.stopping.clone().unwrap();
    assert_eq!((stopping.max_tokens, stopping.stop.len()), (Some(8), 0));
    let chat = chat(params);
    assert_eq!((chat.tools_json.as_str(), chat.tool_choice, chat.continue_last), ("", None, false));
    assert_eq!(chat.reasoning, Some(Reasoning { enabled: Some(false), ..Reasoning::default() }));
}

#[test]
fn what_is_set_reaches_the_worker() {
    let params = taken(
        r#","model":"m","stream":true,"temperature":0.5,"top_p":0.9,"top_k":7,"stop_sequences":["a","b"],
        "service_tier":"auto","metadata":{"user_id":"u"},"cache_control":{"type":"ephemeral","ttl":"1h"},
        "mcp_servers":[],"container":null,"inference_geo":"global",
        "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},
        "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#,
    );
    assert_eq!((params.model.as_str(), params.is_streamed, params.has_edits), ("m", true, true));
    let sampling = params.generate.sampling.unwrap();
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (0.5, Some(0.9), 7));
    assert_eq!(params.generate.stopping.unwrap().stop, ["a", "b"]);
    let schema = structure::Structure::JsonSchema(r#"{"type":"object"}"#.into());
    assert_eq!(params.generate.structure, Some(Structure { structure: Some(schema.clone()) }));
    assert_eq!(params.names.structure.as_deref(), Some("output_config.format.schema"));
    let former = taken(r#","output_format":{"type":"json_schema","schema":{"type":"object"}}"#);
    assert_eq!(former.generate.structure, Some(Structure { structure: Some(schema) }));
}

#[test]
fn thinking_is_as_the_request_says() {
    let check =
        |fields: &str, enabled: Option<bool>, budget_tokens: Option<u32>, effort: &str, shown: Shown| {
            let params = taken(fields);
            assert_eq!(params.thoughts, shown, "{fields}");
            let expected = Reasoning { enabled, budget_tokens, effort: effort.into(), in_text: false };
            assert_eq!(chat(params).reasoning, Some(expected), "{fields}");
        };
    check(r#","thinking":{"type":"disabled"}"#, Some(false), None, "", Shown::No);
    check(r#","thinking":{"type":"enabled","budget_tokens":1024}"#, Some(true), Some(1024), "", Shown::Yes);
    check(r#","thinking":{"type":"adaptive"}"#, None, None, "", Shown::Yes);
    check(r#","thinking":{"type":"adaptive","display":"summarized"}"#, None, None, "", Shown::Yes);
    check(
        r#","thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"high"}"#,
        None,
        None,
        "high",
        Shown::Sealed,
    );
    check(r#","output_config":{"effort":"low"}"#, Some(false), None, "low", Shown::No);
}

#[test]
fn tools_are_functions_to_the_worker() {
    let tool = |name: &str, more: &str| {
        format!(r#"{{"name":"{name}","description":"d","input_schema":{{"type":"object"}}{more}}}"#)
    };
    let check = |tools: &[String], choice: &str, mode: ToolMode, names: &[&str], single: bool| {
        let params = taken(&format!(r#","tools":[{}],"tool_choice":{choice}"#, tools.join(",")));
        let found = chat(params).tool_choice.unwrap();
        assert_eq!(
            (found.mode(), found.names, found.single),
            (mode, names.iter().map(ToString::to_string).collect(), single)
        );
    };
    let two =
        [tool("a", r#","type":"custom","strict":true,"cache_control":{"type":"ephemeral"}"#), tool("b", "")];
    check(&two, "null", ToolMode::Auto, &[], false);
    check(&two, r#"{"type":"auto"}"#, ToolMode::Auto, &[], false);
    check(&two, r#"{"type":"auto","disable_parallel_tool_use":true}"#, ToolMode::Auto, &[], true);
    check(&two, r#"{"type":"any"}"#, ToolMode::Required, &[], false);
    check(&two, r#"{"type":"tool","name":"b"}"#, ToolMode::Required, &["b"], false);
    check(&two, r#"{"type":"none"}"#, ToolMode::None, &[], false);

    let params = taken(&format!(r#","tools":[{}]"#, two.join(",")));
    assert_eq!(params.names.functions, ["tools[0]", "tools[1]"]);
    let error = Error::invalid("tools[1].function.parameters", "m");
    assert_eq!(renamed(&params.names, error).param, "tools[1].input_schema");
    let expected = r#"[{"type":"function","function":{"name":"a","description":"d","parameters":{"type":"object"},"strict":true}},{"type":"function","function":{"name":"b","description":"d","parameters":{"type":"object"}}}]"#;
    assert_eq!(chat(params).tools_json, expected);

    let streaming = tool("a", r#","eager_input_streaming":true,"allowed_callers":["direct"]"#);
    assert!(chat(taken(&format!(r#","tools":[{streaming}]"#))).tools_json.contains(r#""name":"a""#));
}

#[test]
fn a_deferred_tool_is_there_once_it_was_found() {
    let tools =
        r#""tools":[{"name":"a","input_schema":{}},{"name":"b","input_schema":{},"defer_loading":true}]"#;
    let messages = |found: &str| {
        format!(
            r#"{{"max_tokens":1,{tools},"messages":[{{"role":"user","content":"?"}},{{"role":"assistant","content":[
            {{"type":"tool_use","id":"toolu_1","name":"a","input":{{}}}}]}},{{"role":"user","content":[
            {{"type":"tool_result","tool_use_id":"toolu_1","content":{found}}}]}}]}}"#
        )
    };
    let check = |found: &str, expected: bool| {
        let chat = chat(Params::read(messages(found).as_bytes()).unwrap());
        assert_eq!(chat.tools_json.contains(r#""name":"b""#), expected, "{found}");
    };
    check(r#""nothing""#, false);
    check(r#"[{"type":"tool_reference","tool_name":"b"}]"#, true);
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    let check = |fields: &str, code: Code, param: &str| {
        let error = read(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{fields}: {error}");
    };
    let (unsupported, invalid) = (Code::UnsupportedParameter, Code::InvalidRequest);
    for (fields, param) in [
        (r#","container":"c""#, "container"),
        (r#","mcp_servers":[{"type":"url","url":"https://x","name":"x"}]"#, "mcp_servers"),
        (r#","inference_geo":"us""#, "inference_geo"),
        (r#","speed":"fast""#, "speed"),
        (r#","output_config":{"task_budget":{"type":"tokens","total":20000}}"#, "output_config.task_budget"),
        (r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#, "tools[0].type"),
        (r#","tools":[{"type":"bash_20250124","name":"bash"}]"#, "tools[0].type"),
        (r#","tools":[{"type":"mcp_toolset","mcp_server_name":"x"}]"#, "tools[0].type"),
        (
            r#","tools":[{"name":"a","input_schema":{},"allowed_callers":["code_execution_20250825"]}]"#,
            "tools[0].allowed_callers",
        ),
    ] {
        check(fields, unsupported, param);
    }
    for (fields, param) in [
        (r#","temperature":1.1"#, "temperature"),
        (r#","top_p":2"#, "top_p"),
        (r#","top_k":-1"#, "top_k"),
        (r#","stop_sequences":"x""#, "stop_sequences"),
        (r#","stop_sequences":[""]"#, "stop_sequences"),
        (r#","stream":1"#, "stream"),
        (r#","service_tier":"gold""#, "service_tier"),
        (r#","cache_control":{"type":"for ever"}"#, "cache_control.type"),
        (r#","metadata":7"#, "metadata"),
        (r#","thinking":{}"#, "thinking.type"),
        (r#","thinking":{"type":"enabled"}"#, "thinking.budget_tokens"),
        (r#","thinking":{"type":"sometimes"}"#, "thinking.type"),
        (r#","output_config":{"effort":"none"}"#, "output_config.effort"),
        (r#","output_config":{"format":{"type":"text"}}"#, "output_config.format.type"),
        (r#","output_config":{"format":{"type":"json_schema"}}"#, "output_config.format.schema"),
        (r#","tools":[{"name":"a"}]"#, "tools[0].input_schema"),
        (r#","tools":[{"name":"a b","input_schema":{}}]"#, "tools[0].name"),
        (r#","tools":[{"name":"a","input_schema":{}},{"name":"a","input_schema":{}}]"#, "tools[1].name"),
        (r#","tool_choice":{"type":"any"}"#, "tool_choice"),
        (r#","tool_choice":{"type":"tool","name":"a"}"#, "tool_choice.name"),
        (r#","tool_choice":{}"#, "tool_choice.type"),
        (r#","tool_choice":"auto""#, "tool_choice"),
    ] {
        check(fields, invalid, param);
    }
    assert_eq!(refused("{}"), (invalid, "max_tokens".to_owned()));
    assert_eq!(refused(r#"{"max_tokens":0}"#), (invalid, "max_tokens".to_owned()));
    assert_eq!(refused(r#"{"max_tokens":1}"#), (invalid, "messages".to_owned()));
    assert_eq!(refused(r#"{"max_tokens":1,"messages":[]}"#), (invalid, "messages".to_owned()));
    assert!(Params::read_to_count(br#"{"messages":[{"role":"user","content":"hi"}]}"#).is_ok());
}

#[test]
fn what_nobody_can_be_kept_from_sending_is_named() {
    let check = |fields: &str, expected: &str| {
        let mut headers = axum::http::HeaderMap::new();
        read(fields).unwrap().ignored.write(&mut headers);
        assert_eq!(headers["x-impetus-ignored"], expected, "{fields}");
    };
    check(r#","beta_of_tomorrow":1"#, "beta_of_tomorrow");
    check(r#","metadata":{"a":"b"}"#, "metadata.a");
    check(r#","thinking":{"type":"adaptive","mood":"good"}"#, "thinking.mood");
    check(r#","tools":[{"name":"a","input_schema":{},"input_examples":[]}]"#, "tools.input_examples");
    check(
        r#","context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#,
        "context_management.clear_tool_uses_20250919",
    );
    check(
        r#","system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"}]"#,
        "system.x-anthropic-billing-header",
    );
}
