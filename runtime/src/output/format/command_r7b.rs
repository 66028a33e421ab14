//! Command R7B and Command A: a thought, actions and a response, each between control tokens of its own.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::Whole,
    call::Keys,
    choice::Template,
    list::{List, Syntax},
    thought::Block,
};

const SYNTAX: Syntax = Syntax {
    open: &["<|START_ACTION|>"],
    close: &["<|END_ACTION|>"],
    silent: &["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"],
    response: None,
    direct: None,
    around: Some(("<|START_RESPONSE|>", "<|END_RESPONSE|>")),
    keys: Keys { name: &["tool_name"], arguments: &["parameters"], id: &["tool_call_id"] },
    list: ["[\n    ", ",\n    ", "\n]"],
    object: ["{\"tool_call_id\": \"", "\", \"tool_name\": ", ", \"parameters\": ", "}"],
};

const THOUGHT: Block =
    Block { open: "<|START_THINKING|>", close: "<|END_THINKING|>", end: "<|END_THINKING|>" };

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommandR7b;

impl CommandR7b {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<|START_ACTION|>")
    }
}

impl Format for CommandR7b {
    fn name(&self) -> &'static str {
        "command_r7b"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[
            "<|START_THINKING|>",
            "<|END_THINKING|>",
            "<|START_ACTION|>",
            "<|END_ACTION|>",
            "<|START_RESPONSE|>",
            "<|END_RESPONSE|>",
            "<|START_TEXT|>",
            "<|END_TEXT|>",
        ]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::always(THOUGHT, beginning, List::new(&SYNTAX, beginning))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THOUGHT.lark(beginning, tags), rules, tags)
    }
}
