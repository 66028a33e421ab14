//! Functionary: `<function=name>{...}</function>` in version 3.1, `>>>name` on a line of its own in version 3.2, where
//! text is what is said to `all`.

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
    body::{Answer, Body, Whole},
    choice::Template,
    lark,
    named::{Arguments, Named, Syntax},
    thought::THINK,
};

const TAGGED: Syntax = Syntax { begin: "<function=", id: None, separator: ">", end: "</function>" };

/// Before each recipient of version 3.2.
const TO: &str = ">>>";

/// Version 3.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functionary31;

/// Version 3.2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functionary32;

#[derive(Debug)]
enum State {
    /// Where a recipient stands, behind the mark.
    Recipient,
    Text,
    Arguments(Arguments),
}

impl Functionary31 {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<function=") && template.has("{start_tag}={function_name}")
    }
}

impl Format for Functionary31 {
    fn name(&self) -> &'static str {
        "functionary_v3_1"
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THINK, beginning, Named::new(&TAGGED))
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        TAGGED.grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}

impl Functionary32 {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has(">>>all")
    }
}

impl Format for Functionary32 {
    fn name(&self) -> &'static str {
        "functionary_v3_2"
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        // The prompt may end with the mark of the first recipient.
        let begun = beginning.continued.is_empty() && beginning.prompt_tail.ends_with(TO);
        Whole::always(THINK, beginning, if begun { State::Recipient } else { State::Text })
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let first = if beginning.prompt_tail.ends_with(TO) { String::new() } else { lark::literal(TO) };
        let to = lark::literal(TO);
        let text = lark::text("TEXT", &[TO], &[], tags);
        let all = lark::literal("all\n");
        if rules.tools.is_empty() {
            let content = rules.content.as_ref()?;
            return Some(format!("start: {first} {all} content\n{content}"));
        }
        let function = |tool: &Tool| {
            format!("{} {}", lark::literal(&format!("{}\n", tool.name)), lark::arguments(tool, rules))
        };
        let functions: Vec<String> = rules.tools.iter().map(function).collect();
        let call = format!("call: {}\n", functions.join(" | "));
        let calls = if rules.single { "call".to_owned() } else { format!("call ({to} call)*") };
        Some(match (&rules.content, rules.required) {
            (_, true) => format!("start: {first} {calls}\n{call}"),
            (Some(content), false) => format!("start: {first} ({all} content | {calls})\n{call}{content}"),
            (None, false) => {
                let lead = lark::through("lead", TO, tags);
                format!("start: {first} ({all} TEXT | {all} lead {calls} | {calls})\n{call}{text}{lead}")
            }
        })
    }
}

impl State {
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<Self> {
        match self {
            Self::Recipient => {
                let rest = answer.buffer.rest();
                let Some(line) = rest.find('\n') else {
                    return if answer.last && !rest.is_empty() { Some(Self::Text) } else { None };
                };
                let name = rest[..line].trim().to_owned();
                let is_name = |char: char| char.is_alphanumeric() || "_-.:/".contains(char);
                if name.is_empty() || !name.chars().all(is_name) {
                    return Some(Self::Text);
                }
                answer.skip(line + 1);
                if name == "all" {
                    answer.speech.turn();
                    return Some(Self::Text);
                }
                answer.call(&name, "");
                Some(Self::Arguments(Arguments::default()))
            }
            Self::Text => {
                answer.text_before(&[TO])?;
                answer.skip(TO.len());
                Some(Self::Recipient)
            }
            Self::Arguments(arguments) => arguments.read(answer).then_some(Self::Text),
        }
    }
}

impl Body for State {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            *self = state;
        }
    }
}
