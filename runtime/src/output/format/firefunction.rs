//! FireFunction v2: `functools` and a JSON list of calls.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::USUAL,
    choice::Template,
    list::{LIST, List, OBJECT, Syntax},
    thought::THINK,
};

const SYNTAX: Syntax = Syntax {
    open: &["functools"],
    close: &[],
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
pub(super) struct FireFunction;

impl FireFunction {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("functools[")
    }
}

impl Format for FireFunction {
    fn name(&self) -> &'static str {
        "firefunction"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, List::new(&SYNTAX, beginning))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}
