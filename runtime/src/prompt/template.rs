//! A compiled chat template.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Local};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde_json::{Map, Value as Json};

use super::budget::{self, Limits};
use super::error::{Limit, Passed, TemplateError};
use super::input::{ChatInput, Message};
use super::reasoning::Knobs;
use super::shape::{self, SHAPES, Shape};
use super::{builtins, rewrite};

/// The largest template, in bytes. Real ones reach 17 KB.
const MAX_SOURCE_BYTES: usize = 256 << 10;

/// The stack of the thread that compiles and renders. The engine recurses over a template's syntax, which
/// [`rewrite`] keeps shallow enough for this.
const STACK_BYTES: usize = 64 << 20;

/// Instructions for a conversation: some for the template, some for each message and tool.
const BASE_FUEL: u64 = 1_000_000;
const FUEL_PER_MESSAGE: u64 = 5_000;

/// Macros that call macros.
const MAX_RECURSION: usize = 100;

/// How long all trials of a template may take together.
const TRIAL_TIME: Duration = Duration::from_millis(500);

const NAME: &str = "chat";

/// Begins a thought, in templates that do so whatever they are told.
const THOUGHT: &str = "<think>";

/// Ends it before it begins.
const NO_THOUGHT: &str = "\n\n</think>\n\n";

/// The chat template of a model.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    begin: String,
    end: String,
    shape: Shape,
    knobs: Knobs,
    /// Names of the variables that it reads, macros and builtins among them.
    variables: Arc<HashSet<String>>,
    /// It shows tools by itself.
    shows_tools: bool,
    limits: Limits,
}

/// One rendering's input, in the form that the template wants.
struct Rendering<'a> {
    messages: &'a [Message],
    shape: Shape,
    tools: &'a Json,
    arguments: &'a Map<String, Json>,
    add_generation_prompt: bool,
    now: DateTime<Local>,
}

impl ChatTemplate {
    /// Compiles a template. `begin` and `end` are the texts of the model's `bos_token` and `eos_token`, empty if it
    /// has none. A conversation is tried to learn how the template wants its messages.
    pub fn compile(source: &str, begin: &str, end: &str) -> Result<Self, TemplateError> {
        Self::compile_within(source, begin, end, Limits::DEFAULT)
    }

    /// As [`compile`](Self::compile), with limits for its renderings.
    pub(super) fn compile_within(
        source: &str,
        begin: &str,
        end: &str,
        limits: Limits,
    ) -> Result<Self, TemplateError> {
        if source.trim().is_empty() {
            return Err(TemplateError::NoChatTemplate);
        }
        if source.len() > MAX_SOURCE_BYTES {
            return Err(TemplateError::TooLarge { bytes: source.len(), limit: MAX_SOURCE_BYTES });
        }
        let checked = rewrite::rewrite(source)?;
        let trial = Limits { time: TRIAL_TIME, ..limits };
        on_large_stack(trial, || {
            let environment = Arc::new(environment(checked)?);
            let (begin, end) = (begin.to_owned(), end.to_owned());
            let variables = variables(&environment)?;
            let knobs = Knobs::of(source, &variables);
            let (variables, shape, shows_tools) = (Arc::new(variables), SHAPES[0], false);
            let mut template = Self { environment, begin, end, shape, knobs, variables, shows_tools, limits };
            template.learn(source.contains("</think>"));
            Ok(template)
        })
    }

    /// The prompt of a conversation.
    pub fn render(&self, input: &ChatInput) -> Result<String, TemplateError> {
        let continued = input.continue_last.then(|| continued(&input.messages)).transpose()?;
        // An empty beginning is continued by beginning the message.
        let (messages, begin_message) = match continued {
            Some("") => (&input.messages[..input.messages.len() - 1], true),
            Some(_) => (&input.messages[..], false),
            None => (&input.messages[..], true),
        };
        let mut prompt = self.render_as(input, messages, begin_message)?;
        if let Some(content) = continued {
            prompt.truncate(end_of_last(&prompt, content)?);
        } else if input.reasoning.enabled == Some(false) && prompt.trim_end().ends_with(THOUGHT) {
            // A thought that the template opens whatever it is told is over before it begins.
            prompt.push_str(NO_THOUGHT);
        }
        Ok(prompt)
    }

    /// Refuses arguments that the template does not read, except those that clients send to every model.
    pub fn check_arguments(&self, input: &ChatInput) -> Result<(), TemplateError> {
        let is_unknown = |name: &&String| !self.variables.contains(*name) && !Knobs::is_common(name);
        match input.arguments.keys().find(is_unknown) {
            Some(name) => Err(TemplateError::UnknownArgument { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Whether it shows tools by itself.
    pub fn shows_tools(&self) -> bool {
        self.shows_tools
    }

    /// The conversation as it is, with the beginning of an answer behind it or without.
    #[cfg(test)]
    pub(crate) fn render_turns(
        &self,
        input: &ChatInput,
        begin_answer: bool,
    ) -> Result<String, TemplateError> {
        self.render_as(input, &input.messages, begin_answer)
    }

    fn render_as(
        &self,
        input: &ChatInput,
        messages: &[Message],
        begin_message: bool,
    ) -> Result<String, TemplateError> {
        let mut arguments = input.arguments.clone();
        self.knobs.set(&input.reasoning, &mut arguments);
        let rendering = Rendering {
            messages,
            shape: self.shape,
            tools: &input.tools,
            arguments: &arguments,
            add_generation_prompt: begin_message,
            now: input.now,
        };
        on_large_stack(self.limits, || self.run(&rendering))
    }

    /// Renders on the thread at hand.
    fn run(&self, rendering: &Rendering<'_>) -> Result<String, TemplateError> {
        let mut environment = Environment::clone(&self.environment);
        let tools = rendering.tools.as_array().map_or(0, Vec::len);
        let units = (rendering.messages.len() + tools) as u64;
        environment.set_fuel(Some(BASE_FUEL + units * FUEL_PER_MESSAGE));
        let template = environment.get_template(NAME).map_err(TemplateError::Compile)?;
        let mut output = Output(Vec::new());
        match template.render_captured_to(self.context(rendering), &mut output) {
            Ok(_) => Ok(String::from_utf8(output.0)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())),
            Err(error) => Err(TemplateError::from_render(error)),
        }
    }

    fn context(&self, rendering: &Rendering<'_>) -> Value {
        let variable = |(name, value): (&str, Value)| (name.to_owned(), value);
        let mut variables: Vec<(String, Value)> = [
            ("bos_token", Value::from(self.begin.as_str())),
            ("eos_token", Value::from(self.end.as_str())),
            ("documents", Value::from(())),
        ]
        .into_iter()
        .map(variable)
        .collect();
        for (name, value) in rendering.arguments {
            variables.push((name.clone(), Value::from(Serde(value))));
        }
        let fixed = [
            ("messages", rendering.shape.messages(rendering.messages)),
            ("tools", Value::from(Serde(rendering.tools))),
            ("add_generation_prompt", Value::from(rendering.add_generation_prompt)),
            ("strftime_now", builtins::strftime_now(rendering.now)),
        ];
        variables.extend(fixed.into_iter().map(variable));
        Value::from_pairs(variables)
    }

    /// Learns by trial which form messages have: the first shape in which everything of a conversation is seen; one
    /// with tools if any is, or else any.
    fn learn(&mut self, tags_thoughts: bool) {
        let (mut messages, tools, needles) = shape::trial();
        let (short, needle) = shape::short_trial();
        let with_tools = self.first_that_shows(&SHAPES, &messages, &tools, &needles);
        let found = with_tools.or_else(|| self.first_that_shows(&SHAPES, &short, &Json::Null, &[needle]));
        self.shape = found.unwrap_or(SHAPES[0]);
        self.shows_tools = self
            .first_that_shows(&[self.shape], &short, &tools, &[needle, shape::TOOL_DESCRIPTION])
            .is_some();
        let long_ids = shape::with_long_ids(&messages);
        if with_tools.is_some() && self.first_that_shows(&[self.shape], &long_ids, &tools, &needles).is_none()
        {
            self.shape = self.shape.with_short_ids();
        }
        let thought = shape::think(&mut messages);
        let needles = [needles.as_slice(), &[thought]].concat();
        let fields = self.shape.with_thought_fields();
        let shown = self.first_that_shows(&fields, &messages, &tools, &needles).or_else(|| {
            let (messages, needle) = shape::thinking_trial();
            self.first_that_shows(&fields, &messages, &Json::Null, &[needle])
        });
        self.shape = shown.unwrap_or_else(|| self.shape.with_thoughts_in_text(tags_thoughts));
    }

    fn first_that_shows(
        &self,
        shapes: &[Shape],
        messages: &[Message],
        tools: &Json,
        needles: &[&str],
    ) -> Option<Shape> {
        let arguments = Map::new();
        for &shape in shapes {
            let (arguments, now) = (&arguments, Local::now());
            let rendering = Rendering { messages, shape, tools, arguments, add_generation_prompt: true, now };
            match self.run(&rendering) {
                Ok(prompt) if needles.iter().all(|needle| prompt.contains(needle)) => return Some(shape),
                // The others would take as long; all trials share one budget.
                Err(TemplateError::Exceeded(_)) => return None,
                _ => {}
            }
        }
        None
    }
}

/// What the template reads from outside.
fn variables(environment: &Environment<'_>) -> Result<HashSet<String>, TemplateError> {
    let template = environment.get_template(NAME).map_err(TemplateError::Compile)?;
    Ok(template.undeclared_variables(false))
}

/// The environment that Hugging Face templates expect, with the template in it.
fn environment(source: String) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(false);
    environment.set_syntax(syntax.build().map_err(TemplateError::Compile)?);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_recursion_limit(MAX_RECURSION);
    // Errors would quote the conversation.
    environment.set_debug(false);
    builtins::install(&mut environment);
    environment.add_template_owned(NAME, source).map_err(TemplateError::Compile)?;
    Ok(environment)
}

/// Runs `work` on a thread with a stack that a template cannot use up, and survives its panics.
fn on_large_stack<T: Send>(
    limits: Limits,
    work: impl FnOnce() -> Result<T, TemplateError> + Send,
) -> Result<T, TemplateError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("template".to_owned()).stack_size(STACK_BYTES);
        let work = || {
            budget::start(limits);
            work()
        };
        let handle = thread.spawn_scoped(scope, work).map_err(TemplateError::Thread)?;
        handle.join().unwrap_or(Err(TemplateError::Panicked))
    })
}

/// The content of the last message, without the white space around it.
fn continued(messages: &[Message]) -> Result<&str, TemplateError> {
    match messages.last() {
        Some(last) if last.role == "assistant" => {
            Ok(if last.content.trim().is_empty() { "" } else { &last.content })
        }
        _ => Err(TemplateError::NothingToContinue),
    }
}

/// Where the last message ends in the prompt; its white space counts where the template keeps it.
fn end_of_last(prompt: &str, content: &str) -> Result<usize, TemplateError> {
    if content.is_empty() {
        return Ok(prompt.len());
    }
    let start = prompt.rfind(content.trim()).ok_or(TemplateError::LastMessageMissing)?;
    let kept = content.trim_start();
    let shown = if prompt[start..].starts_with(kept) { kept } else { content.trim() };
    Ok(start + shown.len())
}

/// Output that ends where it would become too long.
struct Output(Vec<u8>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > budget::limits().text_bytes {
            let passed = Error::new(ErrorKind::WriteFailure, "the prompt is too long");
            return Err(io::Error::other(passed.with_source(Passed(Limit::Output))));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
