//! Kimi K2: a section of calls, each with an id of which the function's name is part, and JSON arguments.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
    body::Whole,
    choice::Template,
    headed::{Head, Headed, MAX_NAME_BYTES, Syntax, Written},
    lark,
    reader::{Miss, Reader},
    thought::THINK,
};

const ARGUMENTS: &str = "<|tool_call_argument_begin|>";

const SYNTAX: Syntax = Syntax {
    open: &["<|tool_calls_section_begin|>"],
    begin: "<|tool_call_begin|>",
    head,
    end: &["<|tool_call_end|>"],
    close: "<|tool_calls_section_end|>",
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kimi;

impl Kimi {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<|tool_calls_section_begin|>")
    }
}

impl Format for Kimi {
    fn name(&self) -> &'static str {
        "kimi"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            "<|tool_call_begin|>",
            ARGUMENTS,
            "<|tool_call_end|>",
            "<think>",
            "</think>",
        ]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, Headed::new(&SYNTAX))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let head = |tool: &Tool| {
            let name = lark::literal(&format!("functions.{}:", tool.name));
            format!("{name} /[0-9]{{1,3}}/ {}", tags.lark(ARGUMENTS))
        };
        let call = Written { head: &head, behind: "", between: "" };
        SYNTAX.grammar(&call, &THINK.lark(beginning, tags), rules, tags)
    }
}

/// `functions.name:0` and the tag before the arguments.
fn head(reader: &mut Reader<'_>) -> Result<Head, Miss> {
    let id = reader.until(&['<'], MAX_NAME_BYTES)?.trim();
    reader.literal(ARGUMENTS)?;
    let name = id.strip_prefix("functions.").unwrap_or(id);
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    Ok(Head { name: name.to_owned(), id: id.to_owned() })
}
