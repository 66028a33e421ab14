//! From a conversation to the text that the model was trained to continue, by the template that travels with it.
//!
//! A template is a program from a file that anyone may have made. It is compiled and run on a thread of its own with
//! a large stack, under limits of instructions, time, memory and output, after [`rewrite`] has refused what is too
//! deep to compile and has put a check behind every expression that could grow.

mod budget;
#[allow(clippy::needless_pass_by_value)] // the template engine hands arguments over by value
mod builtins;
mod error;
pub mod infill;
mod input;
mod lexer;
mod reasoning;
mod rewrite;
mod shape;
mod telling;
mod template;
#[cfg(test)]
mod tests;

pub use error::{Limit, TemplateError};
pub use infill::InfillTokens;
pub use input::{ChatInput, Message};
pub use telling::Listener;
pub use template::ChatTemplate;
