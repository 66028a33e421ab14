//! GLM 4.5 and later: `<tool_call>` around a function's name, and an `<arg_key>` and an `<arg_value>` per argument.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::Whole,
    choice::Template,
    thought::{Block, THINK},
    xml::{Syntax, Typing, Xml},
};

const SYNTAX: Syntax = Syntax {
    open: "<tool_call>",
    function: ("", &['\n', '<'], ""),
    parameter: ("<arg_key>", '<'),
    typed: &[("</arg_key>", Typing::Schema)],
    value: "<arg_value>",
    value_end: "</arg_value>",
    lines: false,
    function_end: "</tool_call>",
    close: "</tool_call>",
    several: false,
};

const THOUGHT: Block = Block { end: "</think>\n", ..THINK };

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glm;

impl Glm {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<arg_key>") && template.has("<arg_value>")
    }
}

impl Format for Glm {
    fn name(&self) -> &'static str {
        "glm"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[
            "<tool_call>",
            "</tool_call>",
            "<arg_key>",
            "</arg_key>",
            "<arg_value>",
            "</arg_value>",
            "<think>",
            "</think>",
        ]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THOUGHT, beginning, Xml::new(&SYNTAX, &beginning.tools))
    }

    fn unenforced(&self, tool: &Tool) -> Option<Unenforced> {
        SYNTAX.unenforced(tool)
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THOUGHT.lark(beginning, tags), rules, tags)
    }
}
