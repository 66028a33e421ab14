//! Outputs and what they are, a file for each format in `fixtures/`: each output is read whole, character by character,
//! cut at every place and token by token; grammars accept those that are well-formed and refuse those that are not;
//! and what the format's own template shows of calls in a history is read back as these calls.
//!
//! A file is a JSON object:
//! - `format`: its name; `source`: what of a template it is made for, where it depends on that; `templates`: stems of files in the collection of templates, of which each is detected as this
//!   format and round-tripped; `ends`: texts that end a turn in them; `arguments`: further template variables; `single:
//!   true` where they show no two calls at once.
//! - `fixtures`: `output`, and what is expected of it as `parts` (`{"text": ..}`, `{"reasoning": ..}`,
//!   `{"call": name, "arguments": text, "id": ..}`). Optional: `tail` and `continued`, how the prompt ends; `tools:
//!   false`, nothing can be called; `in_text`, reasoning stays in the text; `held`, under which rules the grammar
//!   accepts it: `auto` (the default), `required`, `single`, or `no` where it is malformed and the parser makes the
//!   best of it.
//! - `refused`: outputs that no grammar of a forced call accepts.
//! - `unsaid`: outputs with calls in them that are not as they have to be: no grammar of calls left to the model accepts
//!   one of them, as text or as calls, where functions are strict.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
    sync::Arc,
};

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{Beginning, Format, Rules, Tags, Template, Tool, choose, named};
use crate::{
    engine::{TokenId, TokenizeError, Vocabulary},
    output::{Output, Part, StopParams, part},
    prompt::{ChatInput, ChatTemplate},
    sampling::grammar,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    templates: Vec<String>,
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    arguments: Map<String, Json>,
    #[serde(default)]
    single: bool,
    fixtures: Vec<Fixture>,
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    unsaid: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    output: String,
    parts: Vec<Expected>,
    #[serde(default)]
    tail: String,
    #[serde(default)]
    continued: String,
    #[serde(default = "yes")]
    tools: bool,
    #[serde(default)]
    in_text: bool,
    #[serde(default)]
    held: Held,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Held {
    #[default]
    Auto,
    Required,
    Single,
    No,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Expected {
    Text {
        text: String,
    },
    Reasoning {
        reasoning: String,
    },
    Call {
        call: String,
        arguments: String,
        #[serde(default)]
        id: String,
    },
}

/// Bytes, the end of a turn, and the control tokens of a format.
struct Bytes {
    bytes: Vec<u8>,
    controls: &'static [&'static str],
}

fn yes() -> bool {
    true
}

impl Vocabulary for Bytes {
    fn size(&self) -> u32 {
        257 + self.controls.len() as u32
    }

    fn piece(&self, token: TokenId) -> &[u8] {
        let idx = token.0 as usize;
        self.bytes.get(idx..=idx).unwrap_or_default()
    }

    fn control_name(&self, token: TokenId) -> Option<&str> {
        match (token.0 as usize).checked_sub(256)? {
            0 => Some("<|end of turn|>"),
            idx => self.controls.get(idx - 1).copied(),
        }
    }

    fn is_end(&self, token: TokenId) -> bool {
        token.0 == 256
    }

    fn encode(&self, text: &str, _: bool) -> Result<Vec<TokenId>, TokenizeError> {
        let mut tokens = Vec::new();
        let mut rest = text.as_bytes();
        while let Some(&byte) = rest.first() {
            let longest = |name: &(usize, &&str)| rest.starts_with(name.1.as_bytes());
            let control = self.controls.iter().enumerate().filter(longest).max_by_key(|(_, name)| name.len());
            let bytes = control.map_or(1, |(_, name)| name.len());
            tokens.push(control.map_or(TokenId(byte.into()), |(idx, _)| TokenId(257 + idx as u32)));
            rest = &rest[bytes..];
        }
        Ok(tokens)
    }

    fn begin_text(&self) -> &'static str {
        ""
    }

    fn end_text(&self) -> &'static str {
        ""
    }

    fn longest_piece_bytes(&self) -> usize {
        1
    }
}

fn vocabulary(controls: &'static [&'static str]) -> Arc<dyn Vocabulary> {
    Arc::new(Bytes { bytes: (0..=255).collect(), controls })
}

/// The tools of all fixtures.
fn tools() -> Vec<Tool> {
    let tool = |name: &str, properties: Json, required: Json| Tool {
        name: name.to_owned(),
        description: format!("What {name} does."),
        parameters: json!({"type": "object", "properties": properties, "required": required}),
        ..Tool::default()
    };
    vec![
        tool("get_time", json!({"city": {"type": "string"}}), json!(["city"])),
        tool("add", json!({"a": {"type": "integer"}, "b": {"type": "integer"}}), json!(["a", "b"])),
        tool("now", json!({}), json!([])),
        tool(
            "note",
            json!({"text": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
                "meta": {"type": "object", "additionalProperties": true}, "urgent": {"type": "boolean"}, "due": {"type": "number"}}),
            json!([]),
        ),
    ]
}

fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/output/format/fixtures");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            serde_json::from_str(&fs::read_to_string(path).unwrap())
                .unwrap_or_else(|error| panic!("{} is no file of fixtures: {error}", path.display()))
        })
        .collect()
}

/// The source of a template of the collection, where there is one.
fn template(stem: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/chat-templates");
    let path = folder.join(format!("{stem}.jinja"));
    folder.is_dir().then(|| fs::read_to_string(path).unwrap_or_else(|error| panic!("{stem}: {error}")))
}

impl File {
    fn format(&self) -> Arc<dyn Format> {
        let first = || self.templates.first().and_then(|stem| template(stem));
        let source = self.source.clone().or_else(first).unwrap_or_default();
        named(&self.format, &Template::new(&source)).unwrap()
    }
}

impl Fixture {
    fn beginning(&self) -> Beginning {
        Beginning {
            prompt_tail: self.tail.clone(),
            continued: self.continued.clone(),
            tools: if self.tools { tools() } else { Vec::new() },
            reasoning_in_text: self.in_text,
        }
    }

    fn expected(&self) -> Vec<Part> {
        let mut calls = 0;
        let part = |expected: &Expected| match expected.clone() {
            Expected::Text { text } => Part::Text(text),
            Expected::Reasoning { reasoning } => Part::Reasoning(reasoning),
            Expected::Call { call: name, arguments, id } => {
                calls += 1;
                Part::ToolCall(impetus_proto::worker::ToolCallDelta { index: calls - 1, name, arguments, id })
            }
        };
        self.parts.iter().map(part).collect()
    }
}

fn read<'a>(format: &dyn Format, beginning: &Beginning, pieces: impl Iterator<Item = &'a str>) -> Vec<Part> {
    let mut parser = format.parser(beginning);
    let mut parts = Vec::new();
    for piece in pieces {
        parser.push(piece, &mut parts);
    }
    parser.finish(&mut parts);
    part::joined(parts)
}

#[test]
fn outputs_are_read_alike_however_they_are_cut() {
    for file in files() {
        let format = file.format();
        assert!(file.fixtures.len() >= 10, "{} has few fixtures", file.format);
        for fixture in &file.fixtures {
            let (beginning, output) = (fixture.beginning(), fixture.output.as_str());
            let expected = fixture.expected();
            let check = |read: Vec<Part>, how: &str| {
                assert_eq!(read, expected, "{}: {output:?} {how}", file.format);
            };
            check(read(&*format, &beginning, std::iter::once(output)), "whole");
            let characters = output.char_indices().map(|(at, char)| &output[at..at + char.len_utf8()]);
            check(read(&*format, &beginning, characters), "by character");
            for cut in (1..output.len()).filter(|&cut| output.is_char_boundary(cut)) {
                let (before, after) = output.split_at(cut);
                check(read(&*format, &beginning, [before, after].into_iter()), &format!("cut at {cut}"));
            }
            let vocabulary = vocabulary(format.control_tokens());
            let tokens = vocabulary.encode(output, true).unwrap();
            let mut tokenwise =
                Output::new(vocabulary, &StopParams::default()).unwrap().read_as(&*format, &beginning, None);
            let mut parts: Vec<Part> =
                tokens.into_iter().flat_map(|token| tokenwise.push(token).parts).collect();
            parts.extend(tokenwise.finish());
            check(part::joined(parts), "by token");
        }
    }
}

/// Grammars that were compiled, by their texts and the number of control tokens.
type Compiled = BTreeMap<(usize, String), grammar::Grammar>;

/// A grammar with tags as control tokens, and one with tags as text; whether each accepts the output.
fn accepted(
    format: &dyn Format,
    beginning: &Beginning,
    rules: &Rules,
    output: &str,
    compiled: &mut Compiled,
) -> Vec<Result<bool, String>> {
    let controls = format.control_tokens();
    let mut accepts = |controls: &'static [&'static str]| {
        let vocabulary = vocabulary(controls);
        let tags = Tags::of(&*vocabulary, controls);
        let Some(lark) = format.grammar(rules, beginning, &tags) else { return Ok(true) };
        let tokens = vocabulary.encode(output, true).map_err(|error| error.to_string())?;
        let grammar = match compiled.entry((controls.len(), lark)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let lark = &entry.key().1;
                let checked =
                    grammar::check(lark, vocabulary).map_err(|error| format!("{error} in\n{lark}"))?;
                entry.insert(checked)
            }
        };
        Ok(grammar.accepts(&tokens))
    };
    vec![accepts(controls), accepts(&[])]
}

#[test]
fn grammars_accept_what_is_well_formed_alone() {
    for file in files() {
        let format = file.format();
        let forced = Rules { tools: tools(), required: true, ..Rules::default() };
        let mut compiled = Compiled::new();
        for fixture in &file.fixtures {
            let beginning = fixture.beginning();
            let auto = Rules { tools: beginning.tools.clone(), ..Rules::default() };
            let rules = match fixture.held {
                Held::No => continue,
                Held::Auto => vec![auto],
                Held::Single => {
                    vec![Rules { single: true, ..auto.clone() }, Rules { single: true, ..forced.clone() }]
                }
                Held::Required => vec![auto, forced.clone()],
            };
            for rules in rules {
                let accepted = accepted(&*format, &beginning, &rules, &fixture.output, &mut compiled);
                let all = vec![Ok(true); accepted.len()];
                assert_eq!(accepted, all, "{}: {:?} under {rules:?}", file.format, fixture.output);
            }
        }
        let called = Beginning { tools: tools(), ..Beginning::default() };
        for output in &file.refused {
            let refused = accepted(&*format, &called, &forced, output, &mut compiled);
            assert_eq!(refused, vec![Ok(false); refused.len()], "{}: {output:?}", file.format);
        }
        let strict = tools().into_iter().map(|tool| Tool { strict: true, ..tool }).collect();
        let auto = Rules { tools: strict, ..Rules::default() };
        for output in &file.unsaid {
            let calls = read(&*format, &called, std::iter::once(output.as_str()));
            assert!(calls.iter().any(|part| matches!(part, Part::ToolCall(_))), "{output:?} has no call");
            for single in [false, true] {
                let rules = Rules { single, ..auto.clone() };
                let refused = accepted(&*format, &called, &rules, output, &mut compiled);
                assert_eq!(refused, vec![Ok(false); refused.len()], "{}: {output:?}", file.format);
            }
        }
    }
}

#[test]
fn strict_arguments_keep_to_their_schema() {
    let mut compiled = Compiled::new();
    let mut check =
        |format: &str, schema: &Json, [before, behind]: [&str; 2], value: &str, expected: bool| {
            let parameters = json!({"type": "object", "properties": {"x": schema}, "required": ["x"]});
            let tool = Tool { name: "f".to_owned(), parameters, strict: true, ..Tool::default() };
            let format = named(format, &Template::new("")).unwrap();
            assert_eq!(format.unenforced(&tool), None, "{}: {schema}", format.name());
            let beginning = Beginning { tools: vec![tool.clone()], ..Beginning::default() };
            let rules = Rules { tools: vec![tool], ..Rules::default() };
            let output = format!("{before}{value}{behind}");
            let accepted = accepted(&*format, &beginning, &rules, &output, &mut compiled);
            assert_eq!(
                accepted,
                vec![Ok(expected); accepted.len()],
                "{}: {output:?} under {schema}",
                format.name()
            );
        };
    let python = ["[f(x=", ")]"];
    let gemma = ["<|tool_call>call:f{x:", "}<tool_call|>"];
    let tagged = ["<tool_call>\n<function=f>\n<parameter=x>\n", "\n</parameter>\n</function>\n</tool_call>"];
    let choice = json!({"type": "string", "enum": ["a", "b c"]});
    for (value, expected) in [("\"a\"", true), ("\"b c\"", true), ("\"c\"", false), ("1", false)] {
        check("pythonic", &choice, python, value, expected);
    }
    let list =
        json!({"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2});
    for (value, expected) in [
        ("[1]", true),
        ("[1, 2]", true),
        ("[]", false),
        ("[1, 2, 3]", false),
        ("[-1]", false),
        ("[\"a\"]", false),
    ] {
        check("pythonic", &list, python, value, expected);
        check("gemma", &list, gemma, &value.replace(", ", ","), expected);
    }
    let object = json!({"type": "object", "properties": {"b": {"type": "boolean"}, "a": {"const": 1}}, "required": ["b"]});
    for (value, expected) in [
        ("{\"b\": True}", true),
        ("{\"b\": True, \"a\": 1}", true),
        ("{\"a\": 1}", false),
        ("{\"b\": None}", false),
    ] {
        check("pythonic", &object, python, value, expected);
    }
    for (value, expected) in
        [("{b:true}", true), ("{a:1,b:true}", true), ("{a:1}", false), ("{a:2,b:true}", false)]
    {
        check("gemma", &object, gemma, value, expected);
    }
    let optional = json!({"type": ["string", "null"], "enum": ["a", null, "null"]});
    for (value, expected) in [("a", true), ("null", true), ("b", false), ("", false)] {
        check("qwen3_coder", &optional, tagged, value, expected);
    }
    let referred =
        json!({"anyOf": [{"$ref": "#/properties/x/anyOf/1"}, {"enum": ["a", "b"]}, {"type": "null"}]});
    for (value, expected) in [("b", true), ("null", true), ("c", false)] {
        check("qwen3_coder", &referred, tagged, value, expected);
    }
    let text = json!({"type": "string"});
    check("qwen3_coder", &text, tagged, "two\nlines", true);
    check("qwen3_coder", &text, tagged, "</parameter>\n<parameter=y>\n1", false);
}

/// Calls of histories.
fn histories() -> Vec<Vec<(&'static str, Json)>> {
    vec![
        vec![("get_time", json!({"city": "K\u{f6}ln"}))],
        vec![("add", json!({"a": 1, "b": -20}))],
        vec![(
            "note",
            json!({"text": "a \"quoted\" line\nand <b>another</b> \u{1f600}", "urgent": true, "due": 2.5}),
        )],
        vec![("note", json!({"tags": ["x", "y z"], "meta": {"deep": {"er": [1, {}]}}}))],
        vec![("add", json!({"a": 1, "b": 2})), ("now", json!({}))],
    ]
}

#[test]
fn calls_in_a_history_are_read_back() {
    for file in files() {
        for stem in &file.templates {
            let Some(source) = template(stem) else { return };
            let format = choose(&Template::new(&source));
            assert_eq!(format.name(), file.format, "the format of {stem}");
            let compiled = ChatTemplate::compile(&source, "<s>", "</s>").unwrap();
            for calls in histories().into_iter().filter(|calls| calls.len() == 1 || !file.single) {
                let (prompt_tail, shown) = shown(&file, &compiled, &calls);
                let beginning = Beginning { prompt_tail, tools: tools(), ..Beginning::default() };
                let mut read_back: BTreeMap<u32, (String, String)> = BTreeMap::new();
                for part in read(&*format, &beginning, std::iter::once(shown.as_str())) {
                    if let Part::ToolCall(call) = part {
                        let entry = read_back.entry(call.index).or_default();
                        entry.0.push_str(&call.name);
                        entry.1.push_str(&call.arguments);
                    }
                }
                let read_back: Vec<(&str, Json)> = read_back
                    .values()
                    .map(|(name, arguments)| {
                        (name.as_str(), serde_json::from_str(arguments).unwrap_or_default())
                    })
                    .collect();
                assert_eq!(read_back, calls, "{stem} shows {shown:?}");
            }
        }
    }
}

/// What the template shows of an assistant's calls, from where an answer begins to the end of the turn, and what stands
/// before it.
fn shown(file: &File, template: &ChatTemplate, calls: &[(&str, Json)]) -> (String, String) {
    let call = |(idx, (name, arguments)): (usize, &(&str, Json))| {
        json!({"id": format!("call1234{idx}"), "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}})
    };
    let calls: Vec<Json> = calls.iter().enumerate().map(call).collect();
    let function = |tool: &Tool| {
        let mut parameters = tool.parameters.clone();
        for (name, property) in parameters["properties"].as_object_mut().into_iter().flatten() {
            // Some templates show nothing without it.
            property["description"] = json!(format!("The {name}."));
        }
        json!({"type": "function", "function":
            {"name": tool.name, "description": tool.description, "parameters": parameters}})
    };
    let tools: Vec<Json> = tools().iter().map(function).collect();
    let message = |role: &str, content: &str| impetus_proto::worker::Message {
        role: role.to_owned(),
        content: content.to_owned(),
        ..impetus_proto::worker::Message::default()
    };
    let asked = vec![message("user", "Do it.")];
    let mut called = asked.clone();
    called.push(impetus_proto::worker::Message {
        tool_calls_json: Json::Array(calls).to_string(),
        ..message("assistant", "")
    });
    let render = |messages, begin| {
        let chat = impetus_proto::worker::Chat {
            messages,
            tools_json: Json::from(tools.clone()).to_string(),
            template_arguments_json: Json::Object(file.arguments.clone()).to_string(),
            ..impetus_proto::worker::Chat::default()
        };
        template.render_turns(&ChatInput::new(&chat, chrono::Local::now()).unwrap(), begin).unwrap()
    };
    let (before, after) = (render(asked, true), render(called, false));
    // A prompt may open a thought that a history does not show.
    let common = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let is_whole = |&at: &usize| at == before.len() || after[..at].ends_with(['\n', '>', ']']);
    let begins = (0..=common).rev().filter(|&at| after.is_char_boundary(at)).find(is_whole).unwrap_or(0);
    let answer = &after[begins..];
    let end = file.ends.iter().filter_map(|end| answer.find(end.as_str())).min();
    (after[..begins].to_owned(), answer[..end.unwrap_or(answer.len())].to_owned())
}
