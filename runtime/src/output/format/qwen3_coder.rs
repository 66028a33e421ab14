//! Qwen 3 Coder and Qwen 3.5: `<tool_call>` around `<function=f>`, with each argument in a `<parameter=x>`.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::Whole,
    choice::Template,
    thought::THINK,
    xml::{Syntax, Typing, Xml},
};

const SYNTAX: Syntax = Syntax {
    open: "<tool_call>",
    function: ("<function=", &['>', '\n'], ">"),
    parameter: ("<parameter=", '>'),
    typed: &[(">", Typing::Schema)],
    value: "",
    value_end: "</parameter>",
    lines: true,
    function_end: "</function>",
    close: "</tool_call>",
    several: false,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Qwen3Coder;

impl Qwen3Coder {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<tool_call>") && template.has("<function=") && template.has("<parameter=")
    }
}

impl Format for Qwen3Coder {
    fn name(&self) -> &'static str {
        "qwen3_coder"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<tool_call>", "</tool_call>", "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, Xml::new(&SYNTAX, &beginning.tools))
    }

    fn unenforced(&self, tool: &Tool) -> Option<Unenforced> {
        SYNTAX.unenforced(tool)
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}
