//! Mistral: `[TOOL_CALLS]` before a JSON list of calls in older models, and before each name in newer ones, whose
//! arguments stand behind `[ARGS]`; thought in `[THINK]`.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::USUAL,
    choice::Template,
    list::{LIST, List, OBJECT, Syntax as ListSyntax},
    named::{Named, Syntax as NamedSyntax},
    thought::Block,
};

const LISTED: ListSyntax = ListSyntax {
    open: &["[TOOL_CALLS]"],
    close: &[],
    silent: &[],
    response: None,
    direct: None,
    around: None,
    keys: USUAL,
    list: LIST,
    object: OBJECT,
};

const NAMED: NamedSyntax =
    NamedSyntax { begin: "[TOOL_CALLS]", id: Some("[CALL_ID]"), separator: "[ARGS]", end: "" };

const THINK: Block = Block { open: "[THINK]", close: "[/THINK]", end: "[/THINK]" };

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mistral {
    /// Calls are a list.
    is_listed: bool,
}

impl Mistral {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("[TOOL_CALLS]")
    }

    /// The format that `template` shows.
    pub(super) fn of(template: &Template<'_>) -> Self {
        Self { is_listed: template.has("[TOOL_CALLS]") && !template.has("[ARGS]") }
    }
}

impl Format for Mistral {
    fn name(&self) -> &'static str {
        "mistral"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["[TOOL_CALLS]", "[CALL_ID]", "[ARGS]", "[THINK]", "[/THINK]"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        if self.is_listed {
            Whole::parser(THINK, beginning, List::new(&LISTED, beginning))
        } else {
            Whole::parser(THINK, beginning, Named::new(&NAMED))
        }
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let thought = THINK.lark(beginning, tags);
        if self.is_listed {
            LISTED.grammar(&thought, rules, tags)
        } else {
            NAMED.grammar(&thought, rules, tags)
        }
    }
}
