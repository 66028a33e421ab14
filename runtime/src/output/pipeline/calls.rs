//! Whether the calls of an output are whole.

use crate::output::{
    Part,
    format::json::{Extent, Place},
};

/// What was called so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    any: bool,
    /// The arguments of the last call, until they are complete.
    open: Option<Extent>,
    /// A stop string has ended the output; what is said behind it was cut.
    stopped: bool,
}

impl Calls {
    /// Whether there are any, none of which a stop string cut short.
    pub(super) fn are_whole(&self) -> bool {
        self.any && !(self.stopped && self.open.is_some())
    }

    /// Takes what is said.
    pub(super) fn say(&mut self, parts: &[Part]) {
        for part in parts {
            let Part::ToolCall(call) = part else { continue };
            if self.stopped {
                return;
            }
            // A name begins the next one.
            if !call.name.is_empty() || !self.any {
                self.open = Some(Extent::default());
            }
            self.any = true;
            self.read(&call.arguments);
        }
    }

    /// A stop string occurred behind what was said.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    fn read(&mut self, arguments: &str) {
        let Some(extent) = &mut self.open else { return };
        if arguments.bytes().any(|byte| extent.push(byte) == Place::Last) {
            self.open = None;
        }
    }
}
