//! Calls as a list in Python, `[f(a=1), g(b="x")]`: Llama 3.2 and 4, and LFM 2 between tags.

use std::fmt::Write;

use serde_json::Value as Json;

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::{Answer, Body, Whole},
    choice::Template,
    lark, python,
    thought::THINK,
    writer::{Notation, Writer},
};

const OPEN: &str = "<|tool_call_start|>";
const CLOSE: &str = "<|tool_call_end|>";

/// The longest call. It is looked at as a whole, and again for every token that it is longer.
const MAX_CALL_BYTES: usize = 64 << 10;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pythonic {
    /// Lists stand between tags, anywhere in an answer, instead of being the whole of it.
    is_tagged: bool,
}

#[derive(Debug)]
struct Calls {
    is_tagged: bool,
    names: Vec<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Where an answer may be a list.
    Beginning,
    /// In a list, before a call.
    Call,
    /// Behind a call.
    Behind,
    /// Behind the list.
    Closing,
    Text,
}

/// What a list's element is.
enum Element<'a> {
    /// A call of this function with these arguments, and its length.
    Call(&'a str, String, usize),
    /// It is not complete.
    Short,
    Wrong,
}

impl Pythonic {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("[func_name1(") || Self::of(template).is_tagged
    }

    /// The format that `template` shows.
    pub(super) fn of(template: &Template<'_>) -> Self {
        Self { is_tagged: template.has(OPEN) || template.has("List of tools: [") }
    }
}

impl Format for Pythonic {
    fn name(&self) -> &'static str {
        "pythonic"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[OPEN, CLOSE, "<|python_start|>", "<|python_end|>", "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        let names = beginning.tools.iter().map(|tool| tool.name.clone()).collect();
        let state = if self.is_tagged || !self.can_call(beginning) { State::Text } else { State::Beginning };
        Whole::parser(THINK, beginning, Calls { is_tagged: self.is_tagged, names, state })
    }

    fn can_call(&self, beginning: &Beginning) -> bool {
        self.is_tagged || THINK.answer(beginning).trim().is_empty()
    }

    fn unenforced(&self, tool: &Tool) -> Option<Unenforced> {
        arguments_of(tool, String::new()).2
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let thought = THINK.lark(beginning, tags);
        if rules.tools.is_empty() {
            let content = rules.content.as_ref()?;
            return Some(format!("start: thought content\n{thought}{content}"));
        }
        let mut list = VALUES.to_owned();
        for (idx, tool) in rules.tools.iter().enumerate() {
            let (arguments, needed, _) = arguments_of(tool, format!("f{idx}"));
            write!(list, "f{idx}: {arguments}\n{needed}").ok()?;
        }
        let functions = |before: &str| {
            let function = |(idx, tool): (usize, &Tool)| {
                format!("{} f{idx}", lark::literal(&format!("{before}{}(", tool.name)))
            };
            rules.tools.iter().enumerate().map(function).collect::<Vec<_>>().join(" | ")
        };
        // The bracket and the name are one terminal, which is where a text that begins likewise ends.
        let more = if rules.single { "" } else { "(\", \" call)*" };
        write!(list, "list: first {more} \"]\"\nfirst: {}\ncall: {}\n", functions("["), functions(""))
            .ok()?;
        let (open, close) =
            if self.is_tagged { (tags.lark(OPEN), tags.lark(CLOSE)) } else { Default::default() };
        let start = match (&rules.content, rules.required) {
            (_, true) => format!("start: thought {open} list {close}\n"),
            (Some(content), false) => format!("start: thought (content | {open} list {close})\n{content}"),
            (None, false) if self.is_tagged => {
                let (text, lead) =
                    (lark::text("TEXT", &[OPEN], &[], tags), lark::through("lead", OPEN, tags));
                format!("start: thought (TEXT | lead list {close})\n{text}{lead}")
            }
            (None, false) => {
                let names: Vec<String> = rules.tools.iter().map(|tool| lark::regex(&tool.name)).collect();
                let names = names.join("|");
                format!(
                    "start: thought (TEXT | list)\nTEXT: /(?s:.*)/ & ~/\\s*\\[\\s*({names})\\s*\\((?s:.*)/\n"
                )
            }
        };
        Some(start + &thought + &list)
    }
}

/// Literals of Python, without the ways to write them that models do not use.
const VALUES: &str = r#"value: STRING | NUMBER | "True" | "False" | "None" | values | pairs
values: "[" (value (", " value)*)? "]"
pairs: "{" (pair (", " pair)*)? "}"
pair: STRING ": " value
argument: /[A-Za-z_][A-Za-z0-9_]{0,63}=/ value
STRING: /"([^"\\\x00-\x1f\x7f]|\\["\\nt])*"/ | /'([^'\\\x00-\x1f\x7f]|\\['\\nt])*'/
NUMBER: /-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?/
"#;

/// How values are written.
fn notation() -> Notation {
    Notation {
        any: "value",
        list: "values",
        object: "pairs",
        string: "STRING",
        words: ["True", "False", "None"],
        comma: ", ",
        quoted: Box::new(|text| quoted(text).map(|text| lark::literal(&text))),
        key: Box::new(|name| quoted(name).map(|name| lark::literal(&format!("{name}: ")))),
        any_key: "STRING \": \"",
        sorted: false,
    }
}

/// A string in Python; none if it has characters that are not written there as they are in JSON.
fn quoted(text: &str) -> Option<String> {
    (!text.contains(['\u{8}', '\u{c}'])).then(|| Json::from(text).to_string())
}

/// What stands before the value of the argument `name`; none if no argument can have that name.
fn argument(name: &str) -> Option<String> {
    let is_part =
        |char: char| !char.is_whitespace() && !char.is_control() && !"=,:()[]{}'\"\\#".contains(char);
    (!name.is_empty() && name.chars().all(is_part)).then(|| lark::literal(&format!("{name}=")))
}

/// The arguments of a tool, with the bracket behind them: those that the schema requires, in order, and others behind
/// them. With the rules that they need, whose names begin with `prefix`, and what is not kept to.
fn arguments_of(tool: &Tool, prefix: String) -> (String, String, Option<Unenforced>) {
    if tool.loose {
        return ("(argument (\", \" argument)*)? \")\"".to_owned(), String::new(), None);
    }
    let notation = notation();
    let mut writer = Writer::new(&notation, prefix, &tool.parameters);
    let mut members = writer.arguments(argument);
    members.sort_by_key(|member| !member.required);
    let members = writer.members(&members);
    let (rules, missed) = writer.finish();
    (format!("{members} \")\""), rules, missed)
}

impl Calls {
    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        match self.state {
            State::Beginning => {
                let text = answer.buffer.rest().trim_start();
                if text.is_empty() && !answer.last {
                    return None;
                }
                let space = answer.buffer.rest().len() - text.len();
                self.list(answer, space)
            }
            State::Call => match self.element(answer.buffer.rest()) {
                Element::Call(name, arguments, bytes) => {
                    let name = name.to_owned();
                    answer.skip(bytes);
                    answer.call(&name, "");
                    answer.arguments(&arguments);
                    Some(State::Behind)
                }
                Element::Short if !answer.last => None,
                _ => Some(State::Text),
            },
            State::Behind => {
                if !answer.buffer.skip_space() {
                    return None;
                }
                let next = match answer.buffer.rest().as_bytes().first()? {
                    b',' => State::Behind,
                    b']' => State::Closing,
                    _ => return Some(State::Call),
                };
                answer.skip(1);
                Some(next)
            }
            State::Closing => {
                if !self.is_tagged {
                    return Some(State::Text);
                }
                if !answer.buffer.skip_space() {
                    return None;
                }
                answer.buffer.take_tag(CLOSE, answer.last).map(|_| State::Text)
            }
            State::Text => {
                if !self.is_tagged {
                    answer.text(answer.buffer.rest().len());
                    return None;
                }
                answer.text_before(&[OPEN])?;
                let behind = answer.buffer.rest()[OPEN.len()..].trim_start();
                if behind.is_empty() && !answer.last {
                    return None;
                }
                let before = answer.buffer.rest().len() - behind.len();
                self.list(answer, before)
            }
        }
    }

    /// Behind the next `before` bytes a list may begin: it does if its first element is a call.
    fn list(&self, answer: &mut Answer<'_>, before: usize) -> Option<State> {
        let Some(list) = answer.buffer.rest()[before..].strip_prefix('[') else {
            answer.text(before);
            return Some(State::Text);
        };
        let space = list.len() - list.trim_start().len();
        match self.element(&list[space..]) {
            Element::Short if !answer.last => None,
            Element::Call(..) => {
                answer.skip(before + 1 + space);
                Some(State::Call)
            }
            _ => {
                answer.text(before + 1);
                Some(State::Text)
            }
        }
    }

    /// What the text begins with.
    fn element<'a>(&self, text: &'a str) -> Element<'a> {
        let Some(open) = text.find('(') else {
            let may_be = self.names.iter().any(|name| name.starts_with(text.trim_end()));
            return if may_be { Element::Short } else { Element::Wrong };
        };
        let name = text[..open].trim_end();
        if !self.names.iter().any(|known| known == name) {
            return Element::Wrong;
        }
        match arguments(&text[open + 1..]) {
            Some(Ok((json, bytes))) if bytes <= MAX_CALL_BYTES => Element::Call(name, json, open + 1 + bytes),
            None if text.len() <= MAX_CALL_BYTES => Element::Short,
            _ => Element::Wrong,
        }
    }
}

/// Keyword arguments up to the bracket that ends them, as a JSON object, and their length with it.
fn arguments(text: &str) -> Option<Result<(String, usize), ()>> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    let (mut start, mut pieces) = (0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        if let Some(mark) = quote {
            quote = quote.filter(|_| escaped || byte != mark);
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' | b'\'' => quote = Some(byte),
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => {
                pieces.push(&text[start..at]);
                return Some(object(&pieces).map(|json| (json, at + 1)).ok_or(()));
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

/// The JSON object of arguments like `a=1`; none if one is something else.
fn object(arguments: &[&str]) -> Option<String> {
    let mut members = Vec::new();
    for argument in arguments.iter().map(|argument| argument.trim()).filter(|argument| !argument.is_empty()) {
        let (name, value) = argument.split_once('=')?;
        let list = python::json(&format!("[{}]", value.trim()))?;
        let value = list.strip_prefix('[')?.strip_suffix(']')?;
        members.push(format!("{}: {value}", Json::from(name.trim())));
    }
    Some(format!("{{{}}}", members.join(", ")))
}

impl Body for Calls {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}
