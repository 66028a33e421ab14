//! MiniMax M2: `<minimax:tool_call>` around all calls, each an `<invoke name="f">` with `<parameter name="x">`.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::Whole,
    choice::Template,
    thought::THINK,
    xml::{Syntax, Typing, Xml},
};

const SYNTAX: Syntax = Syntax {
    open: "<minimax:tool_call>",
    function: ("<invoke name=\"", &['"', '\n'], "\">"),
    parameter: ("<parameter name=\"", '"'),
    typed: &[("\">", Typing::Schema)],
    value: "",
    value_end: "</parameter>",
    lines: false,
    function_end: "</invoke>",
    close: "</minimax:tool_call>",
    several: true,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct MiniMax;

impl MiniMax {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<minimax:tool_call>")
    }
}

impl Format for MiniMax {
    fn name(&self) -> &'static str {
        "minimax"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<minimax:tool_call>", "</minimax:tool_call>", "<think>", "</think>"]
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
