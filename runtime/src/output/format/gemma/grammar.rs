//! Grammars of calls in Gemma's notation.

use std::fmt::Write;

use super::{CLOSE, OPEN, QUOTE};
use crate::output::format::{
    Rules, Tags, Tool, Unenforced,
    body::Calls,
    lark,
    writer::{Notation, Writer},
};

/// The grammar of a thought, which the rules `thought` are about, and of an answer in which tools may be called.
pub(super) fn of(rules: &Rules, thought: &str, tags: &Tags) -> Option<String> {
    let quote = tags.lark(QUOTE);
    let mut rest = lark::through("quoted", QUOTE, tags);
    writeln!(
        rest,
        "string: {quote} quoted\nnumber: %json {{\"type\": \"number\"}}\nKEY: /[A-Za-z_][A-Za-z0-9_-]*/\n\
         any: string | number | \"true\" | \"false\" | \"null\" | list | object\n\
         list: \"[\" (any (\",\" any)*)? \"]\"\nobject: \"{{\" (KEY \":\" any (\",\" KEY \":\" any)*)? \"}}\""
    )
    .ok()?;
    let notation = notation(tags);
    let mut functions = Vec::new();
    for (idx, tool) in rules.tools.iter().enumerate() {
        let mut arguments = "object".to_owned();
        if rules.bind(tool) {
            let mut writer = Writer::new(&notation, format!("f{idx}"), &tool.parameters);
            arguments = writer.whole();
            rest += &writer.finish().0;
        }
        functions.push(format!("{} {arguments}", lark::literal(&tool.name)));
    }
    writeln!(rest, "rest: \"call:\" ({}) {}", functions.join(" | "), tags.lark(CLOSE)).ok()?;
    Calls { open: OPEN, around: None, between: Some(""), direct: false, rest, shapes: Vec::new() }
        .grammar(thought, rules, tags)
}

/// What of the schema of `tool` the grammar does not keep to.
pub(super) fn unenforced(tool: &Tool) -> Option<Unenforced> {
    let notation = notation(&Tags::default());
    let mut writer = Writer::new(&notation, String::new(), &tool.parameters);
    writer.whole();
    writer.finish().1
}

/// How values are written; members are in the order in which templates print them.
fn notation(tags: &Tags) -> Notation {
    let quote = tags.lark(QUOTE);
    let quoted = move |text: &str| {
        let inner = if text.is_empty() { String::new() } else { lark::literal(text) };
        (!text.contains(QUOTE)).then(|| format!("{quote} {inner} {quote}"))
    };
    let is_name = |name: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        name.bytes().all(is_part)
            && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    };
    Notation {
        any: "any",
        list: "list",
        object: "object",
        string: "string",
        words: ["true", "false", "null"],
        comma: ",",
        quoted: Box::new(quoted),
        key: Box::new(move |name| is_name(name).then(|| lark::literal(&format!("{name}:")))),
        any_key: "KEY \":\"",
        sorted: true,
    }
}
