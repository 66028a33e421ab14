//! Seed-OSS: `<seed:tool_call>` around `<function=f>`, with each argument in a `<parameter=x>`; thought in `<seed:think>`.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::Whole,
    choice::Template,
    thought::Block,
    xml::{Syntax, Typing, Xml},
};

const SYNTAX: Syntax = Syntax {
    open: "<seed:tool_call>",
    function: ("<function=", &['>', '\n'], ">"),
    parameter: ("<parameter=", '>'),
    typed: &[(">", Typing::Schema)],
    value: "",
    value_end: "</parameter>",
    lines: false,
    function_end: "</function>",
    close: "</seed:tool_call>",
    several: false,
};

const THOUGHT: Block = Block { open: "<seed:think>", close: "</seed:think>", end: "</seed:think>\n" };

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeedOss;

impl SeedOss {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<seed:tool_call>") || template.has("<seed:think>")
    }
}

impl Format for SeedOss {
    fn name(&self) -> &'static str {
        "seed_oss"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<seed:tool_call>", "</seed:tool_call>", "<seed:think>", "</seed:think>"]
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
