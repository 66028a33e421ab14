//! Llama 3: an answer that is nothing but a JSON object with a name and parameters, behind `<|python_tag|>` or not.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::{Answer, Body, Whole},
    call::{self, CallReader, Read, USUAL},
    choice::Template,
    lark,
    thought::THINK,
};

const PYTHON: &str = "<|python_tag|>";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Llama3;

#[derive(Debug)]
struct Objects {
    /// Functions that may be called: any other object is text.
    names: Vec<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Where an answer may be a call.
    Beginning,
    /// In what may be a call; what stood before it.
    Call(String, Box<CallReader>),
    /// Behind a call, where another one may be.
    Behind,
    Text,
}

impl Llama3 {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<|start_header_id|>") && template.has("\"parameters\": ") && template.has("ipython")
    }
}

impl Format for Llama3 {
    fn name(&self) -> &'static str {
        "llama3"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[PYTHON]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        let names = beginning.tools.iter().map(|tool| tool.name.clone()).collect();
        let state = if self.can_call(beginning) { State::Beginning } else { State::Text };
        Whole::parser(THINK, beginning, Objects { names, state })
    }

    fn can_call(&self, beginning: &Beginning) -> bool {
        THINK.answer(beginning).trim().is_empty()
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let thought = THINK.lark(beginning, tags);
        if rules.tools.is_empty() {
            let content = rules.content.as_ref()?;
            return Some(format!("start: thought content\n{thought}{content}"));
        }
        let objects = call::objects(rules, "{\"name\": ", ", \"parameters\": ", "}");
        let calls = lark::calls("call", "\"; \"", rules);
        // Where the tag is text, whatever begins with it is text to the grammar, too.
        let tag = if tags.is_control(PYTHON) { format!("{}?", tags.lark(PYTHON)) } else { String::new() };
        let call = format!("calls: {tag} {calls}\ncall: {objects}\n");
        let start = match (&rules.content, rules.required) {
            (_, true) => "start: thought calls\n".to_owned(),
            (Some(content), false) => format!("start: thought (content | calls)\n{content}"),
            // Whatever begins like a call is one.
            (None, false) => {
                "start: thought (TEXT | calls)\nTEXT: /(?s:.*)/ & ~/\\s*\\{\\s*\"name\"(?s:.*)/\n".to_owned()
            }
        };
        Some(start + &thought + &call)
    }
}

impl Objects {
    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        match &mut self.state {
            State::Beginning => {
                let rest = answer.buffer.rest();
                let text = rest.trim_start();
                let tagged = text.strip_prefix(PYTHON).unwrap_or(text).trim_start();
                let may_come = PYTHON.starts_with(text) || tagged.is_empty();
                if may_come && !answer.last {
                    return None;
                }
                if !tagged.starts_with('{') {
                    return Some(State::Text);
                }
                let opening = answer.buffer.take(rest.len() - tagged.len()).to_owned();
                Some(State::Call(opening, self.reader()))
            }
            State::Call(opening, reader) => match answer.read_call(reader) {
                Read::More => None,
                Read::Over => Some(State::Behind),
                Read::NoCall(text) => {
                    let text = std::mem::take(opening) + &text;
                    answer.speech.text(&text, answer.parts);
                    Some(State::Text)
                }
            },
            State::Behind => {
                let rest = answer.buffer.rest();
                let next = rest.trim_start_matches([' ', '\n', ';', ',']);
                if next.is_empty() {
                    return None;
                }
                let separator = answer.buffer.take(rest.len() - next.len()).to_owned();
                if answer.buffer.rest().starts_with('{') {
                    return Some(State::Call(separator, self.reader()));
                }
                answer.say(&separator);
                Some(State::Text)
            }
            State::Text => {
                answer.text(answer.buffer.rest().len());
                None
            }
        }
    }

    fn reader(&self) -> Box<CallReader> {
        Box::new(CallReader::new(USUAL).among(self.names.clone()))
    }
}

impl Body for Objects {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}
