//! Granite 3: `<|tool_call|>` and a JSON list of calls; thought in `<think>`, the answer behind it in `<response>`.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::USUAL,
    choice::Template,
    list::{LIST, List, OBJECT, Syntax},
    thought::THINK,
};

const SYNTAX: Syntax = Syntax {
    open: &["<|tool_call|>", "<tool_call>"],
    close: &[],
    silent: &[],
    response: Some(("<response>", "</response>")),
    direct: None,
    around: None,
    keys: USUAL,
    list: LIST,
    object: OBJECT,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granite;

impl Granite {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<|start_of_role|>") && template.has("<|tool_call|>")
    }
}

impl Format for Granite {
    fn name(&self) -> &'static str {
        "granite"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<|tool_call|>", "<tool_call>", "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::always(THINK, beginning, List::new(&SYNTAX, beginning))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}
