//! For models whose templates show no tools: they are told of them, and call them as `{"tool_calls": [...]}`.

use std::fmt::Write;

use serde_json::json;

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
    body::Whole,
    call::USUAL,
    list::{LIST, List, OBJECT, Syntax},
    thought::THINK,
};

const SYNTAX: Syntax = Syntax {
    open: &["{\"tool_calls\": ", "{\"tool_calls\":", "{ \"tool_calls\":", "{\n  \"tool_calls\":"],
    close: &["}"],
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
pub(super) struct Generic;

impl Format for Generic {
    fn name(&self) -> &'static str {
        "generic"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &["<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, List::new(&SYNTAX, beginning))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        SYNTAX.grammar(&THINK.lark(beginning, tags), rules, tags)
    }

    fn instructions(&self, tools: &[Tool]) -> Option<String> {
        if tools.is_empty() {
            return None;
        }
        let mut text = "You can call these functions:\n".to_owned();
        for tool in tools {
            let function =
                json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
            writeln!(text, "{function}").ok()?;
        }
        text.push_str(
            "To call functions, answer with one JSON object and nothing else:\n\
             {\"tool_calls\": [{\"name\": \"the function's name\", \"arguments\": {\"a parameter\": \"its value\"}}]}\n\
             Their results are told to you then. If no function is needed, answer in plain text.",
        );
        Some(text)
    }
}
