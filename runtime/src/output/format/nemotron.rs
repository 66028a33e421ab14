//! Nemotron Nano v2: `<TOOLCALL>` around a JSON list of calls; thought in `<think>`.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::USUAL,
    choice::Template,
    list::{LIST, List, OBJECT, Syntax},
    thought::THINK,
};

const SYNTAX: Syntax = Syntax {
    open: &["<TOOLCALL>"],
    close: &["</TOOLCALL>"],
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
pub(super) struct Nemotron;

impl Nemotron {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<TOOLCALL>")
    }
}

impl Format for Nemotron {
    fn name(&self) -> &'static str {
        "nemotron"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<TOOLCALL>", "</TOOLCALL>", "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, List::new(&SYNTAX, beginning))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}
