//! What most formats have in common: a thought, and behind it an answer in which there may be calls.

use super::{
    Beginning, Parser, Rules, Tags,
    buffer::{Buffer, Found},
    call::{CallReader, Read},
    lark,
    reader::Reader,
    speech::Speech,
    thought::{Block, Thought},
};
use crate::output::Part;

/// Takes the answer apart.
pub(super) trait Body: Send {
    /// Takes what is certain now; everything if nothing is coming.
    fn read(&mut self, answer: &mut Answer<'_>);
}

/// What there is of an answer, and what is said of it.
pub(super) struct Answer<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) speech: &'a mut Speech,
    pub(super) parts: &'a mut Vec<Part>,
    /// It stands behind a thought.
    pub(super) thought: bool,
    /// Nothing is coming any more.
    pub(super) last: bool,
}

/// A parser of a thought and a body.
pub(super) struct Whole<B> {
    buffer: Buffer,
    speech: Speech,
    thought: Thought,
    /// Absent where nothing can be called and all of the answer is text.
    body: Option<B>,
}

/// The calls of a format, for its grammar.
#[derive(Debug)]
pub(super) struct Calls<'a> {
    /// The tag that they begin with.
    pub(super) open: &'a str,
    /// Tags before and behind the text of an answer, if there are such.
    pub(super) around: Option<(&'a str, &'a str)>,
    /// Each call has the tag, with this between two of them; absent: all of them are behind one tag.
    pub(super) between: Option<&'a str>,
    /// There is a rule `direct` among the others: behind the tag it stands for an answer, whose text follows.
    pub(super) direct: bool,
    /// The rule `rest`, of what is behind the tag, and those that it needs.
    pub(super) rest: String,
    /// Whatever else the parser takes for the beginning of a call, as regular expressions: no text has it in it.
    pub(super) shapes: Vec<String>,
}

/// White space before calls.
const SPACE: &str = "CALL_SPACE: /[ \\n]{1,2}/\n";

impl Answer<'_> {
    /// Reads from its beginning.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(self.buffer.rest(), self.last)
    }

    /// Says the next `bytes` as text.
    pub(super) fn text(&mut self, bytes: usize) {
        self.speech.text(self.buffer.take(bytes), self.parts);
    }

    /// Says what stands before the first of `tags`, and says which one begins there then, if one does.
    pub(super) fn text_before(&mut self, tags: &[&str]) -> Option<usize> {
        let (bytes, tag) = match self.buffer.find(tags, self.last) {
            Found::Free(bytes) => (bytes, None),
            Found::Tag { at, tag } => (at, Some(tag)),
        };
        self.text(bytes);
        tag
    }

    /// Says text that was taken before.
    pub(super) fn say(&mut self, text: &str) {
        self.speech.text(text, self.parts);
    }

    /// Reads on in a call that is one JSON object.
    pub(super) fn read_call(&mut self, reader: &mut CallReader) -> Read {
        match reader.read(self.buffer, self.speech, self.parts) {
            Read::More if self.last => reader.finish(self.speech, self.parts),
            read => read,
        }
    }

    /// Passes over the next `bytes`.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.buffer.take(bytes);
    }

    /// Begins a call; `id` is empty where the model does not name its calls.
    pub(super) fn call(&mut self, name: &str, id: &str) {
        self.speech.call(name, id, self.parts);
    }

    /// Says a piece of the arguments of the call that was begun last.
    pub(super) fn arguments(&mut self, json: &str) {
        self.speech.arguments(json, self.parts);
    }
}

impl<B: Body + 'static> Whole<B> {
    /// A parser of one completion.
    pub(super) fn parser(block: Block, beginning: &Beginning, body: B) -> Box<dyn Parser> {
        let body = (!beginning.tools.is_empty()).then_some(body);
        Self::with_body(block, beginning, body)
    }

    /// The same where there is syntax in answers without tools too.
    pub(super) fn always(block: Block, beginning: &Beginning, body: B) -> Box<dyn Parser> {
        Self::with_body(block, beginning, Some(body))
    }

    fn with_body(block: Block, beginning: &Beginning, body: Option<B>) -> Box<dyn Parser> {
        let mut speech = Speech::default();
        let thought = Thought::new(block, beginning, &mut speech);
        Box::new(Self { buffer: Buffer::default(), speech, thought, body })
    }

    fn read(&mut self, parts: &mut Vec<Part>, last: bool) {
        let Self { buffer, speech, thought, body } = self;
        if !thought.read(buffer, speech, parts, last) {
            return;
        }
        match body {
            Some(body) => {
                let thought = thought.is_there();
                body.read(&mut Answer { buffer, speech, parts, thought, last });
            }
            None => speech.exact_text(buffer.take_all(), parts),
        }
    }
}

impl<B: Body + 'static> Parser for Whole<B> {
    fn push(&mut self, text: &str, parts: &mut Vec<Part>) {
        self.buffer.push(text);
        self.read(parts, false);
    }

    fn finish(&mut self, parts: &mut Vec<Part>) {
        self.read(parts, true);
        self.speech.finish(parts);
    }

    fn is_reasoning(&self) -> bool {
        self.thought.is_reasoning()
    }

    fn end_of_reasoning(&self) -> Option<&'static str> {
        self.thought.end()
    }
}

impl Calls<'_> {
    /// The grammar of a thought, which the rules `thought` are about, and of an answer: text, or these calls.
    pub(super) fn grammar(&self, thought: &str, rules: &Rules, tags: &Tags) -> Option<String> {
        let Self { open, around, between, direct, rest, shapes } = self;
        let text = |text: &str| match around {
            Some((before, behind)) => format!("({})? {text} ({})?", tags.lark(before), tags.lark(behind)),
            None => text.to_owned(),
        };
        let content = text("content");
        if rules.tools.is_empty() {
            let rules = rules.content.as_ref()?;
            return Some(format!("start: thought {content}\n{thought}{rules}"));
        }
        let call = format!("call: {} rest\n", tags.lark(open));
        let calls = match between {
            Some(between) => lark::calls("call", &lark::literal(between), rules),
            None => "call".to_owned(),
        };
        let start = match (&rules.content, rules.required) {
            // Many models begin a line before a call.
            (_, true) => format!("start: thought CALL_SPACE? {calls}\n{call}{SPACE}"),
            (Some(rules), false) => {
                let or_direct = if *direct {
                    format!(" | CALL_SPACE? {} direct {content}", tags.lark(open))
                } else {
                    String::new()
                };
                format!("start: thought ({content} | CALL_SPACE? {calls}{or_direct})\n{call}{SPACE}{rules}")
            }
            (None, false) => {
                let lead = lark::through_without("lead", open, shapes, tags);
                let several = between.is_some() && !rules.single;
                let more = if several { "(lead rest)+ TEXT" } else { "lead rest" };
                let more = if *direct { format!("{more} | lead direct TEXT") } else { more.to_owned() };
                let free = lark::text("TEXT", &[open], shapes, tags);
                format!("start: thought ({} | {more})\n{free}{lead}", text("TEXT"))
            }
        };
        Some(start + thought + rest)
    }
}
