//! Phi 4 mini: `<|tool_call|>` around a JSON list of calls; some write `functools` before the list instead.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::USUAL,
    choice::Template,
    list::{LIST, List, OBJECT, Syntax},
    thought::THINK,
};

const SYNTAX: Syntax = Syntax {
    open: &["<|tool_call|>", "functools"],
    close: &["<|/tool_call|>"],
    silent: &[],
    response: None,
    direct: None,
    around: None,
    keys: USUAL,
    list: LIST,
    object: OBJECT,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phi4;

impl Phi4 {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<|tool|>") && template.has("<|/tool|>")
    }
}

impl Format for Phi4 {
    fn name(&self) -> &'static str {
        "phi4"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<|tool_call|>", "<|/tool_call|>", "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, List::new(&SYNTAX, beginning))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}
