//! Text and nothing else, for prompts that are no conversations.

use super::{Beginning, Format, Parser, Rules, Tags};
use crate::output::Part;

/// The format of models without one.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

struct PlainParser;

impl Format for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn parser(&self, _: &Beginning) -> Box<dyn Parser> {
        Box::new(PlainParser)
    }

    fn grammar(&self, rules: &Rules, _: &Beginning, _: &Tags) -> Option<String> {
        rules.content.as_ref().map(|content| format!("start: content\n{content}"))
    }
}

impl Parser for PlainParser {
    fn push(&mut self, text: &str, parts: &mut Vec<Part>) {
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
    }

    fn finish(&mut self, _: &mut Vec<Part>) {}

    fn is_reasoning(&self) -> bool {
        false
    }

    fn end_of_reasoning(&self) -> Option<&'static str> {
        None
    }
}
