//! Llama 3: an answer that is nothing but a JSON object with a name and parameters, behind `<|python_tag|>` or not.

use serde_json::{Value as Json, json};

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
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
        let objects =
            if rules.content.is_some() { objects_as_schemas(rules) } else { objects_behind("", rules) };
        let calls = lark::calls("call", "\"; \"", rules);
        let call = if tags.is_control(PYTHON) {
            format!("calls: {}? {calls}\ncall: {objects}\n", tags.lark(PYTHON))
        } else {
            // A text may begin with the tag, so it is one word with what makes it a call.
            let tagged = objects_behind(PYTHON, rules);
            format!(
                "calls: {calls} | {}\ncall: {objects}\ntagged: {tagged}\n",
                calls.replacen("call", "tagged", 1)
            )
        };
        let start = match (&rules.content, rules.required) {
            (_, true) => "start: thought calls\n".to_owned(),
            (Some(content), false) => format!("start: thought (content | calls)\n{content}"),
            // Whatever begins like a call is one, and so is any other object that names a function.
            (None, false) => {
                let names: Vec<String> = rules.tools.iter().map(|tool| lark::regex(&tool.name)).collect();
                let (tag, names) = (lark::regex(PYTHON), names.join("|"));
                format!(
                    "start: thought (TEXT | calls)\nTEXT: /(?s:.*)/ & ~/\\s*({tag})?\\s*\\{{\\s*\"(name\"|type\"\\s*:\\s*\"\
                     function\"|(?s:.*)\"name\"\\s*:\\s*\"({names})\")(?s:.*)/\n"
                )
            }
        };
        Some(start + &thought + &call)
    }
}

/// The objects of calls behind `tag`. Llama 3.1 says that it calls a function before it says which.
fn objects_behind(tag: &str, rules: &Rules) -> String {
    let [plain, typed] = ["{\"name\": ", "{\"type\": \"function\", \"name\": "]
        .map(|before| call::objects(rules, &format!("{tag}{before}"), ", \"parameters\": ", "}"));
    format!("{plain} | {typed}")
}

/// The same as schemas, for where an answer may be another object: as one long word, the beginning of a call would be
/// taken for no other object's.
fn objects_as_schemas(rules: &Rules) -> String {
    let object = |tool: &Tool| {
        let mut arguments = lark::schema(tool, rules);
        moved(&mut arguments);
        let schema = json!({
            "type": "object",
            "properties": {"type": {"const": "function"}, "name": {"const": tool.name}, "parameters": arguments},
            "required": ["name", "parameters"],
            "additionalProperties": false,
        });
        format!("%json {schema}")
    };
    rules.tools.iter().map(object).collect::<Vec<_>>().join(" | ")
}

/// Makes the references of a schema those of a part of a call.
fn moved(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            members.retain(|name, value| !matches!(name.as_str(), "$schema" | "$id") || !value.is_string());
            if let Some(Json::String(target)) = members.get_mut("$ref")
                && (target == "#" || target.starts_with("#/"))
            {
                target.insert_str(1, "/properties/parameters");
            }
            members.values_mut().for_each(moved);
        }
        Json::Array(elements) => elements.iter_mut().for_each(moved),
        _ => {}
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
