//! What outputs of several formats are held to, and how they are read, over a vocabulary of bytes.

use impetus_proto::worker::{Chat, Message, Structure, ToolChoice, ToolMode};
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    engine::{TokenId, fake::ByteVocabulary},
    output::{
        Part, StopParams,
        format::{Template, named},
    },
};

/// The token behind the bytes.
const END: u32 = 256;

/// What is asked of one answer.
#[derive(Default)]
struct Asked {
    format: &'static str,
    tools: Json,
    required: bool,
    schema: Option<Json>,
    continued: &'static str,
    /// The only function that may be called; any where it is empty.
    named: &'static str,
}

impl Asked {
    fn request(&self) -> GenerateRequest {
        let message = |role: &str, content: &str| Message {
            role: role.to_owned(),
            content: content.to_owned(),
            ..Message::default()
        };
        let mut messages = vec![message("user", "Well?")];
        messages.extend((!self.continued.is_empty()).then(|| message("assistant", self.continued)));
        let names = (!self.named.is_empty()).then(|| self.named.to_owned()).into_iter().collect();
        let mode = if self.required { ToolMode::Required } else { ToolMode::Auto };
        let chat = Chat {
            continue_last: messages.len() > 1,
            messages,
            tools_json: if self.tools.is_null() { String::new() } else { self.tools.to_string() },
            tool_choice: Some(ToolChoice { mode: mode.into(), names, single: false }),
            ..Chat::default()
        };
        let schema = self.schema.as_ref();
        let structure = schema.map(|schema| structure::Structure::JsonSchema(schema.to_string()));
        GenerateRequest {
            input: Some(generate_request::Input::Chat(chat)),
            structure: structure.map(|structure| Structure { structure: Some(structure) }),
            ..GenerateRequest::default()
        }
    }

    fn begin(&self) -> Result<Held, Error> {
        let vocabulary: Arc<dyn Vocabulary> = Arc::new(ByteVocabulary::default());
        let format = named(self.format, &Template::new("")).unwrap();
        let model = Conversation::new(Err(TemplateError::NoChatTemplate), format, Arc::clone(&vocabulary));
        let output = Output::new(Arc::clone(&vocabulary), &StopParams::default()).unwrap();
        let prompt = format!("Well?{}", self.continued);
        Dialogue::check(&self.request())?.begin(&prompt, output, &model, &Grammars::new(vocabulary))
    }

    /// What `said` is read as: its text, and its calls as `name(arguments)`. None if it is not allowed.
    fn read(&self, said: &str) -> Option<String> {
        let Held { mut output, mut constraint } = self.begin().unwrap();
        let mut is_allowed = |token: u32| {
            let Some(constraint) = &mut constraint else { return true };
            let mut logits = vec![0.0; END as usize + 1];
            constraint.mask(&mut logits).unwrap();
            let is_allowed = logits[token as usize] > f32::NEG_INFINITY;
            if is_allowed && token != END {
                constraint.accept(TokenId(token));
            }
            is_allowed
        };
        let mut parts = Vec::new();
        for byte in said.bytes() {
            if !is_allowed(byte.into()) {
                return None;
            }
            parts.extend(output.push(TokenId(byte.into())).parts);
        }
        if !is_allowed(END) {
            return None;
        }
        parts.extend(output.finish());
        let part = |part| match part {
            Part::Text(text) => text,
            Part::Reasoning(_) => String::new(),
            Part::ToolCall(call) if call.name.is_empty() => call.arguments,
            Part::ToolCall(call) => format!("{}:{}", call.name, call.arguments),
        };
        Some(parts.into_iter().map(part).collect())
    }

    fn refused(&self) -> Error {
        self.begin().err().expect("this is refused")
    }
}

fn check(asked: &Asked, said: &str, expected: Option<&str>) {
    assert_eq!(asked.read(said).as_deref(), expected, "{}: {said}", asked.format);
}

fn tools(properties: &Json, strict: bool) -> Json {
    let parameters = json!({"type": "object", "properties": properties});
    json!([{"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}}])
}

fn city() -> Json {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

#[test]
fn a_remark_is_no_part_of_a_structured_answer() {
    let last = "<|start|>assistant<|channel|>final<|message|>{\"city\": \"Oslo\"}";
    let of = |channel: &str| format!("<|channel|>{channel}<|message|>Let me see.<|end|>{last}");
    for tools in [Json::Null, tools(&json!({}), false)] {
        let asked = Asked { format: "harmony", schema: Some(city()), tools, ..Asked::default() };
        check(&asked, &of("analysis"), Some("{\"city\": \"Oslo\"}"));
        check(&asked, &of("commentary"), None);
    }
    let free = Asked { format: "harmony", tools: tools(&json!({}), false), ..Asked::default() };
    check(&free, &of("commentary"), Some("Let me see.\n\n{\"city\": \"Oslo\"}"));
}

#[test]
fn what_is_continued_counts_as_the_beginning_whether_there_are_tools_or_none() {
    for format in ["hermes", "llama3", "qwen3_coder", "harmony", "pythonic"] {
        let tools = tools(&json!({}), false);
        let asked =
            Asked { format, tools, schema: Some(city()), continued: "{\"city\": \"", ..Asked::default() };
        check(&asked, "Oslo\"}", Some("Oslo\"}"));
        check(&asked, "{\"city\": \"Oslo\"}", None);
        let other = Asked { continued: "Well, ", ..asked };
        assert_eq!(other.refused().param, "messages", "{format}");
        // A thought is no part of the answer, and behind it a call can come.
        let thought = Asked { continued: "<think>Hm.</think>\n", ..other };
        if format != "harmony" {
            check(&thought, "{\"city\": \"Oslo\"}", Some("{\"city\": \"Oslo\"}"));
        }
    }
}

#[test]
fn objects_that_begin_like_calls_can_be_answers() {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "parameters": city()}});
    let asked =
        Asked { format: "llama3", tools: tools(&json!({}), false), schema: Some(schema), ..Asked::default() };
    for answer in ["{}", "{\"name\": \"Oslo\"}", "{\"name\":\"g\"}", "{\"parameters\": {\"city\": \"\"}}"] {
        check(&asked, answer, Some(answer));
    }
    check(&asked, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", Some("f:{\"a\": 1}"));
    check(&asked, "{\"names\": \"f\"}", None);
    let unit = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/unit"}}, "$defs": {"unit": {"enum": [1]}}});
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": unit, "strict": true}}]);
    let strict = Asked { tools: tool, ..asked };
    check(&strict, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", Some("f:{\"a\": 1}"));
    check(&strict, "{\"name\": \"f\", \"parameters\": {\"a\": 2}}", None);
}

#[test]
fn a_call_that_has_to_come_can_come_or_is_refused() {
    let asked = |format, continued| Asked {
        format,
        continued,
        tools: tools(&json!({}), false),
        required: true,
        ..Asked::default()
    };
    let (objects, list) = ("{\"name\": \"f\", \"parameters\": {}}", "[f()]");
    for (format, call) in [("llama3", objects), ("pythonic", list)] {
        check(&asked(format, ""), call, Some("f:{}"));
        check(&asked(format, "<think>Hm.</think>\n"), call, Some("f:{}"));
        check(&asked(format, "<think>Hm"), &format!(".</think>{call}"), Some("f:{}"));
        assert_eq!(asked(format, "Let me see. ").refused().param, "tool_choice");
        // It cannot come either where it need not.
        let auto = Asked { required: false, ..asked(format, "Let me see. ") };
        check(&auto, call, Some(call));
    }
    let call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
    check(&asked("hermes", "Let me see. "), call, Some("f:{}"));
    let call = "<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}";
    check(&asked("harmony", "Let me"), &format!(" see.{call}"), Some(" see.f:{}"));
    check(&asked("harmony", "Let me"), " see.", None);
    let structured = Asked { schema: Some(city()), ..asked("harmony", "{\"city\": \"Oslo\"}") };
    check(&structured, call, Some("f:{}"));
    check(&structured, &format!(" {call}"), None);
}

/// A call with one argument in the tags of Qwen 3 Coder.
fn tagged(name: &str, value: &str) -> String {
    format!("<tool_call>\n<function=f>\n<parameter={name}>\n{value}\n</parameter>\n</function>\n</tool_call>")
}

#[test]
fn arguments_in_tags_are_held_to_their_part_of_the_schema() {
    let list = json!({"type": "array", "items": {"type": "string", "pattern": "^[a-z-]+$"}});
    let headers = json!({"type": "object", "patternProperties": {"^x-": {"type": "string"}}});
    let properties = json!({"tags": list, "headers": headers});
    for (strict, required) in [(true, false), (false, true)] {
        let tools = tools(&properties, strict);
        let asked = Asked { format: "qwen3_coder", tools, required, ..Asked::default() };
        check(&asked, &tagged("tags", "[\"a-b\"]"), Some("f:{\"tags\": [\"a-b\"]}"));
        check(&asked, &tagged("tags", "[\"A\"]"), None);
        check(&asked, &tagged("headers", "{\"x-a\": \"b\"}"), Some("f:{\"headers\": {\"x-a\": \"b\"}}"));
        check(&asked, &tagged("headers", "{\"x-a\": 1}"), None);
    }
}

#[test]
fn what_a_strict_function_cannot_have_is_named_as_it_was_written() {
    let function = |name: &str, day: Json| {
        let parameters = json!({"type": "object", "properties": {"day": day}});
        json!({"type": "function", "function": {"name": name, "parameters": parameters, "strict": true}})
    };
    let check = |day: Json, keyword: &str| {
        let tools = json!([function("g", json!({"type": "string"})), function("f", day)]);
        let refused = Asked { format: "qwen3_coder", tools, named: "f", ..Asked::default() }.refused();
        assert_eq!(refused.param, "tools[1].function.parameters");
        assert!(refused.message.contains(&format!("`{keyword}`")), "{}", refused.message);
    };
    check(json!({"type": "string", "format": "date"}), "format");
    check(json!({"type": "string", "pattern": "^a$"}), "pattern");
    check(json!({"type": "array", "uniqueItems": true}), "uniqueItems");
}

#[test]
fn a_schema_that_gives_way_still_says_what_bare_text_is() {
    let properties = json!({"zip": {"type": "string"}, "tags": {"type": "array", "uniqueItems": true}});
    let tools = tools(&properties, false);
    for required in [false, true] {
        let asked = Asked { format: "qwen3_coder", tools: tools.clone(), required, ..Asked::default() };
        check(&asked, &tagged("zip", "94103"), Some("f:{\"zip\": \"94103\"}"));
    }
    // Nor is one held to that says of itself that it was checked.
    let marked = json!({"zip": {"type": "integer", "x-guidance": {}}});
    let asked = Asked {
        format: "qwen3_coder",
        tools: self::tools(&marked, false),
        required: true,
        ..Asked::default()
    };
    check(&asked, &tagged("zip", "true"), Some("f:{\"zip\": true}"));
    for properties in [properties, marked] {
        let tools = self::tools(&properties, true);
        let strict = Asked { format: "qwen3_coder", tools, ..Asked::default() };
        assert_eq!(strict.refused().param, "tools[0].function.parameters");
    }
}

#[test]
fn a_function_without_arguments_gets_none() {
    let asked =
        |format| Asked { format, tools: tools(&json!({}), false), required: true, ..Asked::default() };
    check(&asked("qwen3_coder"), "<tool_call>\n<function=f>\n</function>\n</tool_call>", Some("f:{}"));
    check(&asked("qwen3_coder"), &tagged("a", "1"), None);
    check(&asked("gemma"), "<|tool_call>call:f{}<tool_call|>", Some("f:{}"));
    check(&asked("gemma"), "<|tool_call>call:f{a:1}<tool_call|>", None);
}
