//! DeepSeek: R1 and V3, whose arguments stand in a fenced block, and V3.1, whose arguments follow the name.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
    body::Whole,
    choice::Template,
    headed::{Head, Headed, MAX_NAME_BYTES, Syntax, Written},
    lark,
    reader::{Miss, Reader},
    thought::THINK,
};

const OPEN: &str = "<｜tool▁calls▁begin｜>";
const CLOSE: &str = "<｜tool▁calls▁end｜>";
const BEGIN: &str = "<｜tool▁call▁begin｜>";
const SEPARATOR: &str = "<｜tool▁sep｜>";
const END: &str = "<｜tool▁call▁end｜>";

const SYNTAX: Syntax = Syntax {
    // Distilled models, which do not have the tokens, misspell them.
    open: &[OPEN, "<｜tool_calls_begin｜>", "<｜tool calls begin｜>", "<｜tool▁calls｜>"],
    begin: BEGIN,
    head,
    end: &[END, "\n```", CLOSE],
    close: CLOSE,
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeepSeek {
    /// Arguments stand in a block between fences.
    is_fenced: bool,
}

impl DeepSeek {
    /// The one that `template` shows.
    pub(super) fn of(template: &Template<'_>) -> Self {
        Self { is_fenced: template.has("```json") || !template.has(SEPARATOR) }
    }

    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has(OPEN) && template.has(SEPARATOR)
    }
}

impl Format for DeepSeek {
    fn name(&self) -> &'static str {
        "deepseek"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[OPEN, CLOSE, BEGIN, SEPARATOR, END, "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, Headed::new(&SYNTAX))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let separator = tags.lark(SEPARATOR);
        let fenced = |tool: &Tool| {
            format!("\"function\" {separator} {}", lark::literal(&format!("{}\n```json\n", tool.name)))
        };
        let plain = |tool: &Tool| format!("{} {separator}", lark::literal(&tool.name));
        let thought = THINK.lark(beginning, tags);
        let call = if self.is_fenced {
            Written { head: &fenced, behind: "\n```", between: "\n" }
        } else {
            Written { head: &plain, behind: "", between: "" }
        };
        SYNTAX.grammar(&call, &thought, rules, tags)
    }
}

/// `function<separator>name` and the beginning of a block, or `name<separator>`.
fn head(reader: &mut Reader<'_>) -> Result<Head, Miss> {
    let kind = reader.until(&['<'], MAX_NAME_BYTES)?.trim();
    reader.literal(SEPARATOR)?;
    reader.space();
    let mut ahead = *reader;
    match ahead.one_of(&["{", END]) {
        Ok(_) => return Ok(Head { name: kind.to_owned(), id: String::new() }),
        Err(Miss::Short) => return Err(Miss::Short),
        Err(Miss::Wrong) => {}
    }
    let name = reader.until(&['\n', '{', '<'], MAX_NAME_BYTES)?.trim().to_owned();
    reader.space();
    match reader.literal("```json") {
        Err(Miss::Short) => Err(Miss::Short),
        _ => Ok(Head { name, id: String::new() }),
    }
}
