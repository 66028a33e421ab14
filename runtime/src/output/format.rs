//! Formats: how a model writes tool calls and reasoning.
//!
//! A format is a file in `format/`, chosen when the model is loaded, by its chat template or by the configuration. It
//! has two sides that mirror each other: a [`Parser`] that takes an output apart, and a grammar in llguidance's dialect
//! of Lark under which an output cannot be malformed. Both see the text of a completion behind the prompt, with the
//! names of those control tokens that the format asks for.

mod apertus;
mod body;
mod buffer;
mod call;
mod choice;
mod command_r;
mod command_r7b;
mod deepseek;
mod deepseek_v4;
#[cfg(test)]
mod detection;
mod firefunction;
#[cfg(test)]
mod fixture;
mod functionary;
mod gemma;
mod generic;
mod glm;
mod granite;
mod harmony;
mod headed;
mod hermes;
pub(super) mod json;
mod kimi;
pub(crate) mod lark;
#[cfg(test)]
mod laws;
mod list;
mod llama3;
mod minimax;
mod mistral;
mod named;
mod nemotron;
mod phi4;
mod plain;
mod python;
mod pythonic;
mod qwen3_coder;
mod reader;
mod seed_oss;
mod speech;
#[cfg(test)]
mod strict;
mod thought;
mod value;
mod writer;
mod xml;

use serde_json::Value as Json;

pub use self::{
    choice::{Template, UnknownFormat, choose, named, names},
    lark::Tags,
    plain::Plain,
};
use super::Part;

/// A model's syntax for tool calls and reasoning.
pub trait Format: Send + Sync + std::fmt::Debug {
    /// The name in the configuration and in descriptions.
    fn name(&self) -> &'static str;

    /// Control tokens that the parser has to see in the text, by their names. All others add nothing to it. A tag that
    /// is no control token of the model at hand is text anyway.
    fn control_tokens(&self) -> &'static [&'static str] {
        &[]
    }

    /// A parser for one completion.
    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser>;

    /// A grammar (Lark, rule `start`) of all outputs that keep to `rules`; none where everything does. A tag stands in
    /// it as [`Tags::lark`] writes it.
    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String>;

    /// What of the schema of `tool` the grammar does not keep to where it is to keep to it; it is looser there.
    fn unenforced(&self, tool: &Tool) -> Option<Unenforced> {
        let _ = tool;
        None
    }

    /// What is continued of the answer: not the thought before it.
    fn answer<'a>(&self, beginning: &'a Beginning) -> &'a str {
        thought::THINK.answer(beginning)
    }

    /// Whether a call can come in an answer that begins like this; none can where calls are the whole of an answer and
    /// text has begun it.
    fn can_call(&self, beginning: &Beginning) -> bool {
        let _ = beginning;
        true
    }

    /// What a system message has to tell the model, where its template does not show `tools` by itself.
    fn instructions(&self, tools: &[Tool]) -> Option<String> {
        let _ = tools;
        None
    }
}

/// Takes one completion apart. What it says is a function of the text pushed, whatever the cuts.
pub trait Parser: Send {
    /// Takes more text; pushes to `parts` what is certain now.
    fn push(&mut self, text: &str, parts: &mut Vec<Part>);

    /// Says what was held back, once nothing is coming.
    fn finish(&mut self, parts: &mut Vec<Part>);

    /// Whether what comes next is thought.
    fn is_reasoning(&self) -> bool;

    /// The text that ends the thought at this point, if one is in progress.
    fn end_of_reasoning(&self) -> Option<&'static str>;
}

/// How a completion begins.
#[derive(Debug, Clone, Default)]
pub struct Beginning {
    /// The end of the prompt, some hundred bytes, which may have opened a thought.
    pub prompt_tail: String,
    /// The beginning of the answer that the completion continues; it is the end of the prompt.
    pub continued: String,
    /// Tools that may be called; none: nothing is read as a call.
    pub tools: Vec<Tool>,
    /// Thought stays in the text, tags and all.
    pub reasoning_in_text: bool,
}

/// What an output is held to.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Tools that may be called; none: text alone.
    pub tools: Vec<Tool>,
    /// At least one call.
    pub required: bool,
    /// One call at most.
    pub single: bool,
    /// What the answer's text is, as the rules of a Lark grammar whose first one is `content`; absent: any text.
    pub content: Option<String>,
}

/// A function that a model may call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, or empty.
    pub description: String,
    /// The JSON schema of its arguments, as the caller wrote it; an object.
    pub parameters: Json,
    /// Arguments are held to the schema even where calling is left to the model.
    pub strict: bool,
    /// The schema cannot be enforced: arguments are read by it, but held to none.
    pub loose: bool,
    /// Its place among the tools of the request, of which only some may be called.
    pub place: usize,
}

/// A part of a schema that a format's notation has no grammar for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema's `{keyword}` at {place} cannot be enforced in the notation of this model's calls")]
pub struct Unenforced {
    /// The keyword.
    pub keyword: String,
    /// Where it stands: a JSON pointer into the schema as it is enforced.
    pub place: String,
}

impl Tool {
    /// What the caller knows its schema as.
    pub fn param(&self) -> String {
        format!("tools[{}].function.parameters", self.place)
    }
}

impl Unenforced {
    /// The same in the words of `schema` as the caller wrote it. What is enforced has a `pattern` for each `format`.
    #[must_use]
    pub fn as_written(mut self, schema: &Json) -> Self {
        let part = self.place.strip_prefix('#').and_then(|path| schema.pointer(path));
        let has = |keyword: &str| part.is_some_and(|part| part.get(keyword).is_some());
        if self.keyword == "pattern" && has("format") && !has("pattern") {
            "format".clone_into(&mut self.keyword);
        }
        self
    }
}

impl Rules {
    /// Whether the arguments of `tool` are held to its schema.
    pub fn bind(&self, tool: &Tool) -> bool {
        (self.required || tool.strict) && !tool.loose
    }
}
