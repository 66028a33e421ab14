use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Modelfile {
    Modelfile::read(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn options(json: &Value) -> Map<String, Value> {
    json.as_object().expect("options are an object").clone()
}

#[test]
fn instructions_are_read_in_any_case_and_order() {
    let text = "\u{feff}# A plumber\n\nfrom tiny\nParameter temperature 0.5\nPARAMETER num_ctx 512\nparameter STOP a\n\
                PARAMETER stop \"<|b|>\"\n  SYSTEM You are \"Mario\".  \nMESSAGE user hi\nmessage ASSISTANT \"\"\"It's\n  me\"\"\"\n\
                LICENSE MIT\nLICENSE \"Apache\"\n";
    let expected = Modelfile {
        from: Some("tiny".into()),
        system: Some("You are \"Mario\".".into()),
        template: None,
        messages: vec![("user".into(), "hi".into()), ("assistant".into(), "It's\n  me".into())],
        options: options(&json!({"temperature": 0.5, "num_ctx": 512, "stop": ["a", "<|b|>"]})),
        license: vec!["MIT".into(), "Apache".into()],
    };
    assert_eq!(read(text), expected);
    assert_eq!(read(&text.replace('\n', "\r\n")), expected, "as Windows ends its lines");
}

#[test]
fn values_end_where_their_quotes_do() {
    let check = |value: &str, expected: &str| {
        let text = format!("FROM a\nSYSTEM {value}\nTEMPLATE t");
        let read = read(&text);
        assert_eq!(read.system.as_deref(), Some(expected), "{value:?}");
        assert_eq!(read.template.as_deref(), Some("t"), "{value:?}");
    };
    check("plain", "plain");
    check("plain # and more", "plain # and more");
    check("\"one\"", "one");
    check("\"\"", "");
    check("\"\"\"\"\"\"", "");
    check("\"\"\"\nfirst\n\n# third\n\"\"\"", "\nfirst\n\n# third\n");
    check("\"\"\"a  \n  b\"\"\"  ", "a  \n  b");
    check("\"two\nlines\"", "two\nlines");
    check("\"\"\"he said \"no\"\"\"\"", "he said \"no\"");
    check("it's \"\"\"", "it's \"\"\"");
    check("été\u{3000}", "été");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let check = |text: &str, expected: &str| {
        let error = Modelfile::read(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    };
    check("", "no FROM");
    check("# nothing\n\n", "no FROM");
    check("SYSTEM a", "no FROM");
    check("FROM a\n\nFRMO b", "line 3 of the Modelfile: there is no instruction \"FRMO\"");
    check("FROM", "line 1 of the Modelfile: FROM has no value");
    check("FROM a\nSYSTEM   ", "line 2 of the Modelfile: SYSTEM has no value");
    check("FROM a\nFROM b", "line 2 of the Modelfile: there is one FROM already");
    check(
        "FROM a\nSYSTEM \"\"\"x\nSYSTEM y",
        "line 2 of the Modelfile: the text that begins here with \"\"\"",
    );
    check("FROM a\nSYSTEM \"x", "with \" has no \" at the end of a line");
    check("FROM a\nMESSAGE tool x", "the role of a MESSAGE is system, user or assistant, not \"tool\"");
    check("FROM a\nMESSAGE user", "MESSAGE has no value");
    check("FROM a\nPARAMETER temperature", "PARAMETER has no value");
    check("FROM a\nPARAMETER temperature hot", "temperature must be a number, not \"hot\"");
    check("FROM a\nPARAMETER temperature NaN", "must be a number");
    check("FROM a\nPARAMETER num_ctx 1.5", "must be a whole number");
    check("FROM a\nPARAMETER warmth 1", "there is no parameter \"warmth\"");
    check(
        "FROM a\nADAPTER ./lora.gguf",
        "line 2 of the Modelfile: ADAPTER is not supported: this server applies no",
    );
    check("FROM a\nRENDERER qwen", "RENDERER is not supported");
    check(&format!("FROM a\n{} x", "Y".repeat(500)), &format!("{:?}", "Y".repeat(32)));
    check("FROM a\n\0\u{1b}[2J", "\"\\0\\u{1b}[2J\"");
    check(&"FROM a\n".repeat(200_000), "longer than 1048576 bytes");
    check(&format!("FROM a\n{}", "LICENSE x\n".repeat(5000)), "more than 4096 instructions");
}

#[test]
fn what_is_written_reads_as_one_would_write_it() {
    let modelfile = read(
        "FROM tiny\nPARAMETER stop a\nPARAMETER stop \" b\"\nPARAMETER seed 7\nSYSTEM x\nMESSAGE user \"\"\"a\nb\"\"\"",
    );
    insta::assert_snapshot!(written(&modelfile), @r#"
    FROM tiny
    SYSTEM x
    PARAMETER stop a
    PARAMETER stop """ b"""
    PARAMETER seed 7
    MESSAGE user """a
    b"""
    "#);
}

/// Texts that a Modelfile can hold.
fn text() -> impl Strategy<Value = String> {
    "[ a\"#\n\té]{0,24}".prop_filter("such a text cannot be told from its end", |text| {
        text.lines().all(|line| !line.trim_end().ends_with("\"\"\""))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(system in text(), message in text(), stops in prop::collection::vec(text(), 1..3)) {
        let modelfile = Modelfile {
            from: Some("tiny".into()),
            system: Some(system),
            messages: vec![("user".into(), message)],
            options: options(&json!({"stop": stops})),
            ..Modelfile::default()
        };
        prop_assert_eq!(Modelfile::read(&written(&modelfile)), Ok(modelfile));
    }

    #[test]
    fn no_text_is_too_much(text in "(FROM|SYSTEM|MESSAGE user|PARAMETER stop|[ \"#\n\r\u{85}\u{2028}é\0a])*") {
        let _ = Modelfile::read(&text);
    }
}
