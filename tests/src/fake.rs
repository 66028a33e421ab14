//! What `worker-fake` has for an engine: one that does what its model file says, and what a prompt asks for, crashing
//! and hanging included. What it generates is a pure function of what its slot holds, so that every text can be told
//! to be right or wrong.

mod directive;
mod engine;
mod escape;
mod fault;
pub mod oracle;
mod script;

use std::{fs, sync::Arc, thread, time::Duration};

use impetus_runtime::engine::{
    Backend, Card, Limits, LoadError, Model, ModelSpec, Progress, Task, fake::ByteVocabulary,
};

pub use self::escape::SECRET;
use self::{engine::ScriptedEngine, script::Script};

/// How a conversation is written down for this model.
const TEMPLATE: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
                        {% if add_generation_prompt %}assistant: {% endif %}";

/// Tokens of context when the configuration leaves it to the model.
const CONTEXT_TOKENS: u32 = 1024;

/// Tokens that one step takes.
const STEP_TOKENS: u32 = 256;

/// Every byte, and the end.
const VOCABULARY: u32 = 257;

/// How often a load says how far it is.
const PROGRESS: Duration = Duration::from_millis(50);

/// The backend without a library.
#[derive(Debug)]
pub struct Fake;

impl Backend for Fake {
    const FORMAT: &'static str = "fake";

    fn start(_threads: u32) -> Result<Self, LoadError> {
        Ok(Self)
    }

    fn version(&self) -> String {
        "fake 1.0".to_owned()
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        let broken = |reason: String| LoadError::Broken { path: spec.path.clone(), reason };
        let bytes = fs::read(&spec.path).map_err(|error| broken(error.to_string()))?;
        let script = Script::parse(&bytes).map_err(|error| broken(error.to_string()))?;
        wait(&script, progress);
        let weights = fault::hold(script.weights_mib);
        if let Some(fault) = script.at_load {
            fault.happen();
        }
        if script.die_while_draining {
            fault::die_when_asked_to_stop();
        }
        if let Some(other) = &script.claims {
            fault::claim(other);
        }
        if script.garbage_on_channel {
            fault::garble_channel();
        }
        let limits = Limits {
            slots: spec.slots,
            context_tokens: if spec.context_tokens == 0 { CONTEXT_TOKENS } else { spec.context_tokens },
            tokens_per_step: STEP_TOKENS,
            chunk_rows: STEP_TOKENS,
            chunks_per_step: spec.slots,
            vocabulary: VOCABULARY,
        };
        let card = Card {
            architecture: "fake".to_owned(),
            trained_context_tokens: CONTEXT_TOKENS,
            chat_template: Some(TEMPLATE.to_owned()),
            devices: vec!["cpu".to_owned()],
            weights_bytes: weights.len() as u64,
            implementation: String::new(),
        };
        let engine = Box::new(ScriptedEngine::new(limits, &script, weights, &spec.path));
        Ok(Model { task: Task::Generate(engine), vocabulary: Arc::new(ByteVocabulary::default()), card })
    }
}

/// Takes as long as the script says, with or without a word.
fn wait(script: &Script, progress: &Progress) {
    let mut passed = Duration::ZERO;
    while passed < script.load {
        let pause = PROGRESS.min(script.load.saturating_sub(passed));
        thread::sleep(pause);
        passed += pause;
        if !script.silent_load {
            progress.report(passed.as_secs_f32() / script.load.as_secs_f32());
        }
    }
}
