use super::*;

fn read(json: &str) -> Result<(Tools, Ignored), Error> {
    let mut ignored = Ignored::default();
    let tools = Tools::read(Some(serde_json::from_str(json).unwrap()), &mut ignored)?;
    Ok((tools, ignored))
}

#[test]
fn functions_have_one_name_each() {
    let (tools, ignored) = read(
        r#"[
            {"type":"function","name":"look","description":"d","strict":true,"parameters":{"type":"object"}},
            {"type":"function","name":"bare","strict":null,"parameters":null},
            {"type":"namespace","name":"crm","description":"Customers.","tools":[
                {"type":"function","name":"look","strict":false,"parameters":{}},
                {"type":"custom","name":"note"},
                {"type":"web_search"}
            ]},
            {"type":"custom","name":"patch","description":"p","format":{"type":"text"}},
            {"type":"custom","name":"when","format":{"type":"grammar","syntax":"regex","definition":"\\d+"}},
            {"type":"custom","name":"free","format":{"type":"grammar","syntax":"lark","definition":"start: /a/"}},
            {"type":"mcp","server_label":"x"},
            {"type":"made_up"}
        ]"#,
    )
    .unwrap();
    let json: serde_json::Value = serde_json::from_str(&tools.json).unwrap();
    insta::assert_json_snapshot!(json);
    insta::assert_debug_snapshot!(ignored, @r#"
    Ignored(
        [
            "tools.web_search",
            "tools.custom.format",
            "tools.mcp",
            "tools.made_up",
        ],
    )
    "#);
    let paths = [
        "tools[0]",
        "tools[1]",
        "tools[2].tools[0]",
        "tools[2].tools[1]",
        "tools[3]",
        "tools[4]",
        "tools[5]",
    ];
    assert_eq!(tools.paths, paths);
    let name = |namespace: Option<&str>, name: &str, is_custom| Name {
        namespace: namespace.map(str::to_owned),
        name: name.into(),
        is_custom,
    };
    assert_eq!(tools.name_of("look"), name(None, "look", false));
    assert_eq!(tools.name_of("crm__look"), name(Some("crm"), "look", false));
    assert_eq!(tools.name_of("crm__note"), name(Some("crm"), "note", true));
    assert_eq!(tools.name_of("nobody"), name(None, "nobody", false));
}

#[test]
fn without_functions_there_are_no_tools() {
    for json in ["[]", r#"[{"type":"web_search","external_web_access":true}]"#] {
        let (tools, _) = read(json).unwrap();
        assert!(tools.is_empty() && tools.json.is_empty(), "{json}");
    }
}

#[test]
fn wrong_tools_are_named() {
    for (json, param) in [
        ("{}", "tools"),
        ("[1]", "tools[0]"),
        ("[{}]", "tools[0].type"),
        (r#"[{"type":"function"}]"#, "tools[0].name"),
        (r#"[{"type":"function","name":"a b"}]"#, "tools[0].name"),
        (r#"[{"type":"function","name":"a","parameters":[]}]"#, "tools[0].parameters"),
        (r#"[{"type":"function","name":"a"},{"type":"custom","name":"a"}]"#, "tools[1].name"),
        (r#"[{"type":"namespace","name":"n","tools":[{"type":"function"}]}]"#, "tools[0].tools[0].name"),
        (r#"[{"type":"custom","name":"c","format":{"type":"xml"}}]"#, "tools[0].format.type"),
    ] {
        assert_eq!(read(json).expect_err(json).param, param, "{json}");
    }
}
