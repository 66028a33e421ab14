use impetus_proto::Code;

use super::*;

const TWO: &str = r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","name":"g"}]"#;

fn read(fields: &str) -> (Result<Tools, Error>, String) {
    let mut ignored = Ignored::default();
    let body = format!("{{{fields}}}");
    let tools = tools(&mut Fields::of_body(body.as_bytes()).unwrap(), &mut ignored);
    (tools, format!("{ignored:?}"))
}

fn with(fields: &str) -> Tools {
    read(fields).0.unwrap_or_else(|error| panic!("{fields}: {error}"))
}

#[test]
fn functions_are_written_in_one_form() {
    let check = |fields: &str, expected: &str| assert_eq!(with(fields).json, expected, "{fields}");
    check("", "");
    check(r#""tools":[]"#, "");
    let bare =
        r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#;
    check(r#""tools":[{"type":"function","function":{"name":"f"}}]"#, bare);
    check(r#""tools":[{"type":"function","name":"f","parameters":null,"strict":false}]"#, bare);
    check(r#""functions":[{"name":"f"}]"#, bare);
    let whole = r#"{"name":"f","description":"d","parameters":{"b":1,"a":[2]},"strict":true}"#;
    let expected = format!(r#"[{{"type":"function","function":{whole}}}]"#);
    check(&format!(r#""tools":[{{"type":"function","function":{whole}}}]"#), &expected);
}

#[test]
fn tools_that_no_function_is_are_named_and_left_out() {
    let check = |fields: &str, json: bool, expected: &[&str]| {
        let (tools, ignored) = read(fields);
        assert_eq!(!tools.unwrap().json.is_empty(), json, "{fields}");
        assert_eq!(ignored, format!("Ignored({expected:?})"), "{fields}");
    };
    check(
        r#""tools":[{"type":"web_search"},{"type":"namespace","name":"n","tools":[]}]"#,
        false,
        &["tools.web_search", "tools.namespace"],
    );
    check(
        r#""tools":[{"type":"custom","custom":{"name":"c"}},{"type":"function","name":"f"}]"#,
        true,
        &["tools.custom"],
    );
    check(r#""tools":[{"type":"function","name":"f","defer_loading":true}]"#, true, &["tools.defer_loading"]);
}

#[test]
fn a_choice_says_which_may_be_called() {
    use ToolMode::{Auto, None, Required};

    let check = |fields: &str, mode: ToolMode, names: &[&str], single: bool| {
        let choice = with(&format!("{TWO},{fields}")).choice.unwrap();
        assert_eq!((choice.mode(), choice.single), (mode, single), "{fields}");
        assert_eq!(choice.names, names, "{fields}");
    };
    check(r#""user":"u""#, Auto, &[], false);
    check(r#""tool_choice":"auto""#, Auto, &[], false);
    check(r#""tool_choice":"none""#, None, &[], false);
    check(r#""tool_choice":"required""#, Required, &[], false);
    check(r#""tool_choice":"any","parallel_tool_calls":false"#, Required, &[], true);
    check(r#""parallel_tool_calls":true"#, Auto, &[], false);
    check(r#""tool_choice":{"type":"function","function":{"name":"g"}}"#, Required, &["g"], false);
    check(r#""tool_choice":{"type":"function","name":"f"}"#, Required, &["f"], false);
    let allowed = r#""mode":"required","tools":[{"type":"function","function":{"name":"g"}}]"#;
    check(
        &format!(r#""tool_choice":{{"type":"allowed_tools","allowed_tools":{{{allowed}}}}}"#),
        Required,
        &["g"],
        false,
    );
    check(
        r#""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}"#,
        Auto,
        &["f"],
        false,
    );
    check(
        r#""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}"#,
        None,
        &[],
        false,
    );
}

#[test]
fn functions_are_called_one_at_a_time() {
    let check = |call: &str, mode: ToolMode, names: &[&str]| {
        let tools = with(&format!(r#""functions":[{{"name":"f"}}],"function_call":{call}"#));
        let choice = tools.choice.unwrap();
        assert_eq!((choice.mode(), choice.single, tools.are_functions), (mode, true, true), "{call}");
        assert_eq!(choice.names, names, "{call}");
    };
    check("null", ToolMode::Auto, &[]);
    check(r#""auto""#, ToolMode::Auto, &[]);
    check(r#""none""#, ToolMode::None, &[]);
    check(r#"{"name":"f"}"#, ToolMode::Required, &["f"]);
}

#[test]
fn without_functions_nothing_can_be_asked_of_them() {
    for fields in
        ["", r#""tools":[],"tool_choice":"auto""#, r#""tool_choice":"none","parallel_tool_calls":false"#]
    {
        assert_eq!(with(fields), Tools::default(), "{fields}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let check = |fields: &str, code: Code, param: &str| {
        let error = read(fields).0.expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{fields}: {error}");
    };
    let invalid = |fields: &str, param: &str| check(fields, Code::InvalidRequest, param);
    invalid(r#""tools":{}"#, "tools");
    invalid(r#""tools":[7]"#, "tools[0]");
    invalid(r#""tools":[{}]"#, "tools[0].type");
    invalid(r#""tools":[{"type":"function"}]"#, "tools[0].name");
    invalid(r#""tools":[{"type":"function","function":{"name":""}}]"#, "tools[0].function.name");
    invalid(r#""tools":[{"type":"function","function":{"name":"a b"}}]"#, "tools[0].function.name");
    invalid(
        r#""tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#,
        "tools[0].function.parameters",
    );
    invalid(
        r#""tools":[{"type":"function","function":{"name":"f","strict":1}}]"#,
        "tools[0].function.strict",
    );
    invalid(r#""tools":[{"type":"function","name":"f"},{"type":"function","name":"f"}]"#, "tools");
    invalid(&format!(r#"{TWO},"functions":[]"#), "functions");
    invalid(&format!(r#"{TWO},"tool_choice":"some""#), "tool_choice");
    invalid(&format!(r#"{TWO},"tool_choice":7"#), "tool_choice");
    invalid(
        &format!(r#"{TWO},"tool_choice":{{"type":"function","function":{{"name":"h"}}}}"#),
        "tool_choice.function.name",
    );
    invalid(&format!(r#"{TWO},"parallel_tool_calls":"no""#), "parallel_tool_calls");
    invalid(r#""tool_choice":"required""#, "tool_choice");
    invalid(r#""tools":[{"type":"web_search"}],"tool_choice":"required""#, "tool_choice");
    invalid(r#""functions":[{"name":"f"}],"function_call":{"name":"g"}"#, "function_call.name");
    let mode = r#""tool_choice":{"type":"allowed_tools","mode":"required","tools":[]}"#;
    invalid(&format!("{TWO},{mode}"), "tool_choice.tools");
    let custom = r#""tool_choice":{"type":"custom","custom":{"name":"c"}}"#;
    check(&format!("{TWO},{custom}"), Code::UnsupportedParameter, "tool_choice.type");
}
