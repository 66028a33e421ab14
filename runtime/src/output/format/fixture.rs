//! Outputs and what they are, a file for each format in `fixtures/`: each output is read whole, character by character,
//! cut at every place and token by token; grammars accept those that are well-formed and refuse those that are not;
//! and what the format's own template shows of calls in a history is read back as these calls.
//!
//! A file is a JSON object:
//! - `format`: its name; `source`: what of a template it is made for, where it depends on that; `templates`: stems of files
//!   in the collection of templates, of which each is detected as this format and round-tripped; `ends`: texts that end a
//!   turn in them; `arguments`: further template variables; `single: true` where they show no two calls at once.
//! - `fixtures`: `output`, and what is expected of it as `parts` (`{"text": ..}`, `{"reasoning": ..}`,
//!   `{"call": name, "arguments": text, "id": ..}`). Optional: `tail` and `continued`, how the prompt ends; `tools:
//!   false`, nothing can be called; `in_text`, reasoning stays in the text; `held`, under which rules the grammar
//!   accepts it: `auto` (the default), `required`, `single`, or `no` where it is malformed and the parser makes the
//!   best of it.
//! - `refused`: outputs that no grammar of a forced call accepts.
//! - `unsaid`: outputs with calls in them that are not as they have to be: no grammar of calls left to the model accepts
//!   one of them, as text or as calls, where functions are strict.

mod bytes;
mod history;
mod strict;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
    sync::Arc,
};

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use bytes::vocabulary;

use super::{Beginning, Format, Rules, Tags, Template, Tool, choose, named};
use crate::{
    engine::Vocabulary,
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

fn yes() -> bool {
    true
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
