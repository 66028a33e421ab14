//! How the answer of a chat is read and held: the model's format, the tools, the thought.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use impetus_proto::{
    Error,
    worker::{GenerateRequest, generate_request, structure},
};
use serde_json::json;

use super::{request::refused, tools};
use crate::{
    engine::Vocabulary,
    output::{
        Beginning, Format, Output, Rules, Tool,
        format::{Plain, Tags},
    },
    prompt::{ChatInput, ChatTemplate, Listener, TemplateError},
    sampling::grammar::{Constraint, Grammar, Grammars, Source, schema},
};

/// Bytes of the prompt's end that a format looks at.
const TAIL_BYTES: usize = 256;

/// What a model was made to converse with.
pub(crate) struct Conversation {
    pub(crate) template: Result<ChatTemplate, TemplateError>,
    pub(crate) format: Arc<dyn Format>,
    tags: Tags,
    vocabulary: Arc<dyn Vocabulary>,
}

/// What a request asks of its output.
pub(super) struct Dialogue {
    is_chat: bool,
    rules: Rules,
    structure: Option<structure::Structure>,
    continued: String,
    in_text: bool,
    budget_tokens: Option<u32>,
}

/// How an output is read, and what it is held to.
pub(super) struct Held {
    pub(super) output: Output,
    pub(super) constraint: Option<Constraint>,
}

impl Conversation {
    /// A conversation in `format` over this template.
    pub(crate) fn new(
        template: Result<ChatTemplate, TemplateError>,
        format: Arc<dyn Format>,
        vocabulary: Arc<dyn Vocabulary>,
    ) -> Self {
        let tags = Tags::of(&*vocabulary, format.control_tokens());
        Self { template, format, tags, vocabulary }
    }

    /// The prompt of a conversation in which `tools` may be called.
    pub(super) fn render(&self, input: &ChatInput, tools: &[Tool]) -> Result<String, Error> {
        let template = self.template.as_ref().map_err(refused)?;
        let refused = |error: TemplateError| refused(&error);
        template.check_arguments(input).map_err(refused)?;
        let Some(instructions) = self.format.instructions(tools) else {
            return template.render(input).map_err(refused);
        };
        let told = template.render(&input.told(&instructions, Listener::System));
        match told {
            // Many templates without tools have no system message either.
            Err(TemplateError::Raised { .. } | TemplateError::Render(_)) => {
                template.render(&input.told(&instructions, Listener::User)).map_err(refused)
            }
            told => told.map_err(refused),
        }
    }
}

#[cfg(test)]
impl Conversation {
    /// That of a model which converses with nobody.
    pub(crate) fn absent(vocabulary: Arc<dyn Vocabulary>) -> Self {
        Self::new(Err(TemplateError::NoChatTemplate), Arc::new(Plain), vocabulary)
    }
}

impl Dialogue {
    /// What `request` asks for. Fails on tools that cannot be.
    pub(super) fn check(request: &GenerateRequest) -> Result<Self, Error> {
        let structure = request.structure.clone().and_then(|structure| structure.structure);
        let Some(generate_request::Input::Chat(chat)) = &request.input else {
            let (rules, continued) = (Rules::default(), String::new());
            return Ok(Self {
                is_chat: false,
                rules,
                structure,
                continued,
                in_text: false,
                budget_tokens: None,
            });
        };
        let mut rules = tools::rules(chat)?;
        bind(&mut rules)?;
        let last = chat.messages.last().filter(|_| chat.continue_last);
        let reasoning = chat.reasoning.clone().unwrap_or_default();
        Ok(Self {
            is_chat: true,
            rules,
            structure,
            // White space begins no answer, neither here nor in the prompt.
            continued: last
                .filter(|message| !message.content.trim().is_empty())
                .map(|message| message.content.clone())
                .unwrap_or_default(),
            in_text: reasoning.in_text,
            budget_tokens: reasoning.budget_tokens,
        })
    }

    /// The output read as the model writes it, and held to what is asked. Blocks while it compiles.
    pub(super) fn begin(
        mut self,
        prompt: &str,
        output: Output,
        model: &Conversation,
        grammars: &Grammars,
    ) -> Result<Held, Error> {
        let format: &dyn Format = if self.is_chat { &*model.format } else { &Plain };
        let ignores_end = output.ignores_end();
        let begun = self.settle_calls(format, prompt)?;
        let beginning = self.beginning(prompt);
        for tool in self.rules.tools.iter().filter(|tool| tool.strict) {
            if let Some(unenforced) = format.unenforced(tool) {
                let unenforced = unenforced.as_written(&tool.parameters);
                return Err(Error::invalid(tool.param(), unenforced.to_string()));
            }
        }
        let output = output.read_as(format, &beginning, self.budget_tokens);
        if let Some(structure) = &self.structure {
            let content = grammars.content(structure);
            let param = Source::of(structure).param();
            self.rules.content = Some(content.map_err(|error| error.into_error(param))?);
        }
        let Some(grammar) = self.grammar(format, &beginning, &model.tags, grammars)? else {
            return Ok(Held { output, constraint: None });
        };
        let mut constraint = grammar.begin(ignores_end);
        // What the answer begins with already is part of what it has to be.
        if self.rules.content.is_some() && !self.rules.required {
            let tokens = model.vocabulary.encode_bare(&begun, false);
            let tokens = tokens.map_err(|error| Error::invalid("messages", error.to_string()))?;
            constraint.replay(&tokens).map_err(|_| {
                let message = "the message to be continued is no beginning of what the output has to be";
                Error::invalid("messages", message)
            })?;
        }
        Ok(Held { output, constraint: Some(constraint) })
    }

    /// Drops the tools where an answer was begun in which no call can come. Fails if one has to. What was begun is
    /// returned.
    fn settle_calls(&mut self, format: &dyn Format, prompt: &str) -> Result<String, Error> {
        let beginning = self.beginning(prompt);
        let can_call = format.can_call(&beginning);
        if self.rules.required && !can_call {
            let message = "this model's calls are the whole of an answer, so none can follow the message to be \
                continued: leave that message out, or `tool_choice` to the model";
            return Err(Error::invalid("tool_choice", message));
        }
        let is_thought = format.parser(&beginning).is_reasoning();
        let begun = if is_thought { "" } else { format.answer(&beginning) };
        // Text that is held to something goes on as that, and is no call any more.
        if !can_call || (!begun.is_empty() && self.structure.is_some() && !self.rules.required) {
            self.rules.tools.clear();
        }
        Ok(begun.to_owned())
    }

    fn beginning(&self, prompt: &str) -> Beginning {
        let tail = prompt.ceil_char_boundary(prompt.len().saturating_sub(TAIL_BYTES));
        Beginning {
            prompt_tail: prompt[tail..].to_owned(),
            continued: self.continued.clone(),
            tools: self.rules.tools.clone(),
            reasoning_in_text: self.in_text,
        }
    }

    fn grammar(
        &mut self,
        format: &dyn Format,
        beginning: &Beginning,
        tags: &Tags,
        grammars: &Grammars,
    ) -> Result<Option<Grammar>, Error> {
        let rules = &mut self.rules;
        let compile = |rules: &Rules| {
            let lark = format.grammar(rules, beginning, tags);
            lark.map(|lark| grammars.compile(&lark, Source::Format)).transpose()
        };
        let grammar = match compile(rules) {
            // Schemas that nobody asked to be kept to give way to those that do compile.
            Err(_) if rules.tools.iter().any(|tool| !tool.strict) => {
                rules.tools.iter_mut().filter(|tool| !tool.strict).for_each(|tool| tool.loose = true);
                compile(rules)
            }
            compiled => compiled,
        };
        let param = self.structure.as_ref().map_or("tools", |structure| Source::of(structure).param());
        grammar.map_err(|error| error.into_error(param))
    }
}

/// Checks which schemas can be enforced. One that cannot be is an error of a strict function; others are as good as
/// asked for without theirs.
fn bind(rules: &mut Rules) -> Result<(), Error> {
    for tool in &mut rules.tools {
        if let Some(schema) = tool.parameters.as_object_mut() {
            schema.entry("type").or_insert_with(|| json!("object"));
        }
        if !tool.strict && !rules.required {
            continue;
        }
        match schema::narrow(&tool.parameters) {
            Ok(_) => {}
            Err(error) if tool.strict => {
                return Err(error.into_error(&tool.param()));
            }
            Err(_) => tool.loose = true,
        }
    }
    Ok(())
}
