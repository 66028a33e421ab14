//! Command R and R+: `Action:` and a fenced JSON list of calls.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::Keys,
    choice::Template,
    list::{Direct, List, Syntax},
    thought::THINK,
};

const SYNTAX: Syntax = Syntax {
    open: &["Action:"],
    close: &["```"],
    silent: &[],
    response: None,
    direct: Some(Direct { names: &["directly-answer", "directly_answer"], label: "Answer:" }),
    around: None,
    keys: Keys { name: &["tool_name", "name"], arguments: &["parameters", "arguments"], id: &[] },
    list: ["\n```json\n[\n    ", ",\n    ", "\n]"],
    object: ["", "{\n        \"tool_name\": ", ",\n        \"parameters\": ", "\n    }"],
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandR;

impl CommandR {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("Action:") && template.has("tool_name") && !template.has("<|START_ACTION|>")
    }
}

impl Format for CommandR {
    fn name(&self) -> &'static str {
        "command_r"
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
