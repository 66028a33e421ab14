//! Functionary: `<function=name>{...}</function>` in version 3.1, `>>>name` on a line of its own in version 3.2, where
//! text is what is said to `all`.

use std::fmt::Write;

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
    body::{Answer, Body, Whole},
    choice::Template,
    lark,
    named::{Arguments, Named, Syntax},
    reader::Miss,
    thought::THINK,
};

const TAGGED: Syntax = Syntax { begin: "<function=", id: None, separator: ">", end: "</function>" };

/// Before each recipient of version 3.2.
const TO: &str = ">>>";
/// The recipient of text.
const ALL: &str = "all";

/// Version 3.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functionary31;

/// Version 3.2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functionary32;

/// Takes an answer to several recipients apart.
#[derive(Debug)]
struct Messages {
    /// What stands before a message to each of the recipients that there are.
    marks: Vec<String>,
    state: State,
}

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
        let tools = beginning.tools.iter().map(|tool| tool.name.as_str());
        let marks = [ALL].into_iter().chain(tools).map(|name| format!("{TO}{name}\n")).collect();
        let state = if is_begun(beginning) { State::Recipient } else { State::Text };
        Whole::always(THINK, beginning, Messages { marks, state })
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let to = |name: &str| lark::literal(&format!("{TO}{name}\n"));
        // The prompt may have said to whom the text is that goes on.
        let (first, all) = match (is_begun(beginning), beginning.continued.is_empty()) {
            (true, _) => ("", lark::literal(&format!("{ALL}\n"))),
            (false, true) => (TO, to(ALL)),
            (false, false) => (TO, String::new()),
        };
        if rules.tools.is_empty() {
            let content = rules.content.as_ref()?;
            return Some(format!("start: {all} content\n{content}"));
        }
        let calls = |before: &str, rest: &str| {
            let call = |(idx, tool): (usize, &Tool)| {
                format!("{} arguments{idx} {rest}", lark::literal(&format!("{before}{}\n", tool.name)))
            };
            rules.tools.iter().enumerate().map(call).collect::<Vec<_>>().join(" | ")
        };
        let more = if rules.single { "" } else { "more*" };
        let mut grammar = format!("calls: {}\n", calls(first, more));
        if !rules.single {
            writeln!(grammar, "more: {}", calls(TO, "")).ok()?;
        }
        for (idx, tool) in rules.tools.iter().enumerate() {
            writeln!(grammar, "arguments{idx}: {}", lark::arguments(tool, rules)).ok()?;
        }
        Some(match (&rules.content, rules.required) {
            (_, true) => format!("start: calls\n{grammar}"),
            (Some(content), false) => format!("start: {all} content | calls\n{grammar}{content}"),
            (None, false) => {
                // Each mark is one terminal with the text before it: another text may have its beginning in it.
                let mut led = Vec::new();
                for (idx, tool) in rules.tools.iter().enumerate() {
                    led.push(format!("lead{idx} arguments{idx} {more}"));
                    let mark = format!("{TO}{}\n", tool.name);
                    grammar += &lark::through(&format!("lead{idx}"), &mark, tags);
                }
                let marks: Vec<String> =
                    rules.tools.iter().map(|tool| lark::regex(&format!("{TO}{}\n", tool.name))).collect();
                let text = lark::text("TEXT", &[], &marks, tags);
                // Where a text goes on, nothing more of it may come before a call.
                let or_calls = if all.is_empty() { "" } else { " | calls" };
                format!("start: {all} (TEXT | {}){or_calls}\n{grammar}{text}", led.join(" | "))
            }
        })
    }
}

impl Messages {
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        match &mut self.state {
            State::Recipient => {
                let names: Vec<&str> = self.marks.iter().map(|mark| &mark[TO.len()..]).collect();
                let mut reader = answer.reader();
                match reader.one_of(&names) {
                    Ok(which) => {
                        let bytes = reader.at();
                        Some(self.begin(which, bytes, answer))
                    }
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => Some(State::Text),
                }
            }
            State::Text => {
                let marks: Vec<&str> = self.marks.iter().map(String::as_str).collect();
                let which = answer.text_before(&marks)?;
                Some(self.begin(which, marks[which].len(), answer))
            }
            State::Arguments(arguments) => arguments.read(answer).then_some(State::Text),
        }
    }

    /// Begins what the mark in the next `bytes` is before.
    fn begin(&self, which: usize, bytes: usize, answer: &mut Answer<'_>) -> State {
        answer.skip(bytes);
        let name = self.marks[which][TO.len()..].trim_end();
        if name == ALL {
            answer.speech.turn();
            return State::Text;
        }
        answer.call(name, "");
        State::Arguments(Arguments::default())
    }
}

impl Body for Messages {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}

/// Whether the prompt ends with the mark of the first recipient.
fn is_begun(beginning: &Beginning) -> bool {
    beginning.continued.is_empty() && beginning.prompt_tail.ends_with(TO)
}
