//! A worker for a format of its own, as somebody else would write one: a `Backend`, and the runtime does the rest.

use std::{fs, process::ExitCode, sync::Arc};

use impetus_runtime::engine::{
    Backend, Card, Limits, LoadError, Model, ModelSpec, Progress, Task,
    fake::{ByteVocabulary, FakeEngine, Faults},
};

/// How a conversation is written down for this model.
const TEMPLATE: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
                        {% if add_generation_prompt %}assistant: {% endif %}";

/// Tokens of context when the configuration leaves it to the model.
const CONTEXT_TOKENS: u32 = 256;

/// Every byte, and the end.
const VOCABULARY: u32 = 257;

struct Toy;

impl Backend for Toy {
    const FORMAT: &'static str = "toy";

    fn start(_threads: u32) -> Result<Self, LoadError> {
        Ok(Self)
    }

    fn version(&self) -> String {
        "toy 1.0".to_owned()
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        let broken = |reason: String| LoadError::Broken { path: spec.path.clone(), reason };
        let bytes = fs::read(&spec.path).map_err(|error| broken(error.to_string()))?;
        if !bytes.starts_with(b"toy") {
            return Err(broken("it does not begin with `toy`".to_owned()));
        }
        progress.report(1.0);
        let limits = Limits {
            slots: spec.slots,
            context_tokens: if spec.context_tokens == 0 { CONTEXT_TOKENS } else { spec.context_tokens },
            tokens_per_step: 64,
            chunks_per_step: spec.slots,
            vocabulary: VOCABULARY,
        };
        let card = Card {
            architecture: "toy".to_owned(),
            trained_context_tokens: CONTEXT_TOKENS,
            chat_template: Some(TEMPLATE.to_owned()),
            devices: vec!["cpu".to_owned()],
            weights_bytes: bytes.len() as u64,
            implementation: String::new(),
        };
        let engine = Box::new(FakeEngine::new(limits, Faults::default()));
        Ok(Model { task: Task::Generate(engine), vocabulary: Arc::new(ByteVocabulary::default()), card })
    }
}

fn main() -> ExitCode {
    impetus_runtime::run::<Toy>()
}
