//! A call written as one JSON object, read while it arrives: `{"name": "f", "arguments": {...}}`.

use serde_json::Value as Json;

use super::{
    Rules, Tool,
    buffer::Buffer,
    json::{Extent, Place},
    lark,
    speech::Speech,
};
use crate::output::Part;

/// Names of the members that matter; others are passed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    /// The function's name.
    pub(super) name: &'static [&'static str],
    /// Its arguments, an object or the text of one.
    pub(super) arguments: &'static [&'static str],
    /// What the model calls the call.
    pub(super) id: &'static [&'static str],
}

/// As OpenAI's API names them, and as Llama does.
pub(super) const USUAL: Keys =
    Keys { name: &["name"], arguments: &["arguments", "parameters"], id: &["id", "call_id"] };

/// Reads one call. Its arguments are said byte by byte as the model wrote them, as soon as its name is known.
#[derive(Debug)]
pub(super) struct CallReader {
    keys: Keys,
    /// Functions that it may name; absent: any.
    among: Option<Vec<String>>,
    /// Names of what is written like a call and is none.
    unsaid: &'static [&'static str],
    /// It is one of those.
    is_unsaid: bool,
    state: State,
    /// The object so far, as long as it may turn out to be no call.
    raw: String,
    /// The value that is being read, where it is not said at once.
    value: String,
    name: Option<String>,
    id: String,
    /// Arguments that came before the name.
    early: Option<String>,
    begun: bool,
    /// Arguments have been said.
    argued: bool,
}

/// What became of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    /// All of it was taken, and the call goes on.
    More,
    /// The call is over; what follows it was left.
    Over,
    /// It is none. This text was taken for one.
    NoCall(String),
}

#[derive(Debug, Clone)]
enum State {
    /// Before the object.
    Before,
    /// Before a member's name, or the object's end.
    Member,
    Key(Extent),
    /// Between a name and its value.
    Colon(Role),
    /// Between the colon and the value.
    Blank(Role),
    Value(Role, Extent),
    /// Behind a value.
    Comma,
    Over,
    Wrong,
}

/// What a member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Arguments,
    Id,
    Other,
}

impl CallReader {
    /// A reader of the next object.
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            among: None,
            unsaid: &[],
            is_unsaid: false,
            state: State::Before,
            raw: String::new(),
            value: String::new(),
            name: None,
            id: String::new(),
            early: None,
            begun: false,
            argued: false,
        }
    }

    /// The same, for an object that is a call only if it names one of these.
    pub(super) fn among(self, names: Vec<String>) -> Self {
        Self { among: Some(names), ..self }
    }

    /// The same, for an object of which nothing is said if it names one of these, where no function has that name.
    pub(super) fn unsaid(self, names: &'static [&'static str]) -> Self {
        Self { unsaid: names, ..self }
    }

    /// Whether it is an object of which nothing is said.
    pub(super) fn is_unsaid(&self) -> bool {
        self.is_unsaid
    }

    /// Reads on. Once a call has begun it stays one, however it ends.
    pub(super) fn read(&mut self, buffer: &mut Buffer, speech: &mut Speech, parts: &mut Vec<Part>) -> Read {
        let text = buffer.rest().to_owned();
        let mut at = 0;
        while at < text.len() {
            let taken = match &mut self.state {
                State::Over | State::Wrong => break,
                State::Key(_) | State::Value(..) => self.read_value(&text[at..], speech, parts),
                _ => self.read_between(text.as_bytes()[at], speech, parts),
            };
            if !self.begun {
                self.raw.push_str(&text[at..at + taken]);
            }
            at += taken;
        }
        buffer.take(at);
        match self.state {
            State::Over => self.end(speech, parts),
            State::Wrong => self.finish(speech, parts),
            _ => Read::More,
        }
    }

    /// Nothing is coming any more, or nothing that belongs to a call.
    pub(super) fn finish(&mut self, speech: &mut Speech, parts: &mut Vec<Part>) -> Read {
        if self.begun {
            // Arguments that were not reached yet are none; those that were cut off stay so.
            let reached = matches!(self.state, State::Value(Role::Arguments, _));
            if !self.argued && !reached {
                self.argue("{}", speech, parts);
            }
            return Read::Over;
        }
        Read::NoCall(std::mem::take(&mut self.raw))
    }

    fn end(&mut self, speech: &mut Speech, parts: &mut Vec<Part>) -> Read {
        if !self.begun && self.name.is_some() {
            self.begin(speech, parts);
        }
        self.finish(speech, parts)
    }

    /// Takes part of a key or a value; returns how many bytes.
    fn read_value(&mut self, text: &str, speech: &mut Speech, parts: &mut Vec<Part>) -> usize {
        let (State::Key(extent) | State::Value(_, extent)) = &mut self.state else { return 0 };
        let mut end = None;
        for (at, byte) in text.bytes().enumerate() {
            end = match extent.push(byte) {
                Place::Within => continue,
                Place::Last => Some((at + 1, true)),
                Place::Behind => Some((at, true)),
                Place::Wrong => Some((at, false)),
            };
            break;
        }
        let (taken, whole) = end.unwrap_or((text.len(), false));
        if self.begun && matches!(self.state, State::Value(Role::Arguments, _)) {
            self.argue(&text[..taken], speech, parts);
        } else {
            self.value.push_str(&text[..taken]);
        }
        if whole {
            self.complete(speech, parts);
        } else if end.is_some() {
            self.state = State::Wrong;
        }
        taken
    }

    /// Takes a byte between members, keys and values; returns how many were taken, which is none where a value begins.
    fn read_between(&mut self, byte: u8, speech: &mut Speech, parts: &mut Vec<Part>) -> usize {
        if byte.is_ascii_whitespace() {
            return 1;
        }
        let next = match (&self.state, byte) {
            (State::Before, b'{') | (State::Comma, b',') => State::Member,
            (State::Member | State::Comma, b'}') => State::Over,
            (State::Member, b'"') => State::Key(Extent::default()),
            (State::Colon(role), b':') => State::Blank(*role),
            (State::Blank(role), _) => State::Value(*role, Extent::default()),
            _ => State::Wrong,
        };
        let taken = usize::from(!matches!(next, State::Key(_) | State::Value(..) | State::Wrong));
        if matches!(next, State::Value(Role::Arguments, _)) && byte == b'{' && self.name.is_some() {
            self.begin(speech, parts);
        }
        self.state = next;
        taken
    }

    /// A key or a value is complete.
    fn complete(&mut self, speech: &mut Speech, parts: &mut Vec<Part>) {
        let value = std::mem::take(&mut self.value);
        match std::mem::replace(&mut self.state, State::Comma) {
            State::Key(_) => self.state = State::Colon(self.role(&value)),
            State::Value(role, _) if !self.begun => self.learn(role, value, speech, parts),
            _ => {}
        }
    }

    /// What the member of this name is for; only the first one of a kind counts.
    fn role(&self, key: &str) -> Role {
        // With escapes in it a name is another one: what a grammar looks for has one spelling.
        let key = key.trim_matches('"');
        let is = |names: &[&str]| names.contains(&key);
        if is(self.keys.name) && self.name.is_none() {
            Role::Name
        } else if is(self.keys.arguments) && !self.argued && self.early.is_none() {
            Role::Arguments
        } else if is(self.keys.id) {
            Role::Id
        } else {
            Role::Other
        }
    }

    fn learn(&mut self, role: Role, value: String, speech: &mut Speech, parts: &mut Vec<Part>) {
        let text = serde_json::from_str::<String>(&value).ok();
        match (role, text) {
            (Role::Name, Some(name)) if self.may_name(&name) && !value.contains('\\') => {
                self.name = Some(name);
            }
            (Role::Name, _) => self.state = State::Wrong,
            (Role::Arguments, Some(text)) => self.early = Some(text),
            (Role::Arguments, None) => self.early = Some(value),
            (Role::Id, text) => self.id = text.unwrap_or(value),
            (Role::Other, _) => {}
        }
        if self.name.is_some() && self.early.is_some() {
            self.begin(speech, parts);
        }
    }

    fn may_name(&self, name: &str) -> bool {
        (self.is_known(name) || self.unsaid.contains(&name)) && !name.is_empty()
    }

    fn is_known(&self, name: &str) -> bool {
        self.among.as_ref().is_none_or(|names| names.iter().any(|known| known == name))
    }

    fn begin(&mut self, speech: &mut Speech, parts: &mut Vec<Part>) {
        let name = self.name.as_deref().unwrap_or_default();
        self.is_unsaid = self.unsaid.contains(&name) && !self.is_known(name);
        if self.is_unsaid {
            speech.turn();
        } else {
            speech.call(name, &self.id, parts);
        }
        self.begun = true;
        self.raw.clear();
        if let Some(early) = self.early.take() {
            let none = early.is_empty() || early == "null";
            self.argue(if none { "{}" } else { &early }, speech, parts);
        }
    }

    fn argue(&mut self, json: &str, speech: &mut Speech, parts: &mut Vec<Part>) {
        self.argued = true;
        if !self.is_unsaid {
            speech.arguments(json, parts);
        }
    }
}

/// The objects of all calls that `rules` allow, in a rule of a grammar: before the name and between it and the arguments
/// stands what is given.
pub(super) fn objects(rules: &Rules, before: &str, between: &str, behind: &str) -> String {
    let object = |tool: &Tool| {
        let head = format!("{before}{}{between}", Json::from(tool.name.as_str()));
        format!("{} {} {}", lark::literal(&head), lark::arguments(tool, rules), lark::literal(behind))
    };
    rules.tools.iter().map(object).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use impetus_proto::worker::ToolCallDelta;

    use super::*;
    use crate::output::part;

    fn read(text: &str, cut: usize) -> (Vec<Part>, String) {
        let (mut reader, mut buffer, mut speech) =
            (CallReader::new(USUAL), Buffer::default(), Speech::default());
        let mut parts = Vec::new();
        let mut read = Read::More;
        for piece in [&text[..cut], &text[cut..]] {
            buffer.push(piece);
            if read == Read::More {
                read = reader.read(&mut buffer, &mut speech, &mut parts);
            }
        }
        if read == Read::More {
            read = reader.finish(&mut speech, &mut parts);
        }
        let left = match read {
            Read::NoCall(text) => text,
            _ => String::new(),
        };
        (part::joined(parts), left + buffer.rest())
    }

    #[test]
    fn a_call_is_read_wherever_it_is_cut() {
        let check = |text: &str, name: &str, arguments: &str, id: &str, left: &str| {
            let call = ToolCallDelta {
                index: 0,
                name: name.to_owned(),
                arguments: arguments.to_owned(),
                id: id.to_owned(),
            };
            let expected = if name.is_empty() { Vec::new() } else { vec![Part::ToolCall(call)] };
            for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
                assert_eq!(read(text, cut), (expected.clone(), left.to_owned()), "{text} cut at {cut}");
            }
        };
        check(r#"{"name": "f", "arguments": {"a": "é}"}} x"#, "f", r#"{"a": "é}"}"#, "", " x");
        check(r#" {"name":"f","parameters":{ "a" : [1] },"x":2}"#, "f", r#"{ "a" : [1] }"#, "", "");
        check(r#"{"arguments": {"a": 1}, "name": "f"}"#, "f", r#"{"a": 1}"#, "", "");
        check(r#"{"id": "c1", "name": "f", "arguments": "{\"a\": 1}"}"#, "f", r#"{"a": 1}"#, "c1", "");
        check(r#"{"name": "f"}"#, "f", "{}", "", "");
        check(r#"{"name": "f", "arguments": null}"#, "f", "{}", "", "");
        check(r#"{"name": "f", "arguments": {"a": 1"#, "f", r#"{"a": 1"#, "", "");
        check(r#"{"name": "f", "arguments": {"a": 1}<"#, "f", r#"{"a": 1}"#, "", "<");
        check(r#"{"name": 3}"#, "", "", "", r#"{"name": 3}"#);
        check(r#"{"a": 3} x"#, "", "", "", r#"{"a": 3} x"#);
        check("{} x", "", "", "", "{} x");
        check("x", "", "", "", "x");
        check(r#"{"name": "f", "arg"#, "", "", "", r#"{"name": "f", "arg"#);
    }
}
