//! DeepSeek V3.2 and V4: DSML, tags around all calls, each call and each argument, which says whether it is a string.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::Whole,
    choice::Template,
    thought::THINK,
    xml::{Syntax, Typing, Xml},
};

const SYNTAX: Syntax = Syntax {
    open: "<｜DSML｜tool_calls>",
    function: ("<｜DSML｜invoke name=\"", &['"', '\n'], "\">"),
    parameter: ("<｜DSML｜parameter name=\"", '"'),
    typed: &[
        ("\" string=\"true\">", Typing::Text),
        ("\" string=\"false\">", Typing::Json),
        ("\">", Typing::Schema),
    ],
    value: "",
    value_end: "</｜DSML｜parameter>",
    lines: false,
    function_end: "</｜DSML｜invoke>",
    close: "</｜DSML｜tool_calls>",
    several: true,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeepSeekV4;

impl DeepSeekV4 {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("｜DSML｜")
    }
}

impl Format for DeepSeekV4 {
    fn name(&self) -> &'static str {
        "deepseek_v4"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["｜DSML｜", "<think>", "</think>"]
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
