//! Generations by a worker that is asked directly, as the gateway asks it.

use futures::TryStreamExt;
use impetus_proto::worker::{
    Delta, FinishReason, GenerateRequest, Prompt, TokenLogprobs, ToolCallDelta, generate_event::Event, part,
};

use super::{BUNDLED, Server, Setup};

/// All that a worker said of one request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Generated {
    pub(crate) prompt: Option<Prompt>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCallDelta>,
    pub(crate) logprobs: Vec<TokenLogprobs>,
    pub(crate) reason: FinishReason,
}

impl Generated {
    fn add(&mut self, delta: Delta) {
        self.logprobs.extend(delta.logprobs);
        for part in delta.parts.into_iter().filter_map(|part| part.part) {
            match part {
                part::Part::Text(text) => self.text.push_str(&text),
                part::Part::ToolCall(call) => match self.calls.last_mut() {
                    // How many pieces a call comes in depends on the tokens of each step.
                    Some(last) if last.index == call.index => last.arguments.push_str(&call.arguments),
                    _ => self.calls.push(call),
                },
                part::Part::Reasoning(text) => panic!("{text:?} of a model that does not think"),
            }
        }
    }
}

impl Server {
    /// The bundled model in all formats, each loaded.
    pub(crate) async fn of_all_formats() -> Self {
        let server = Setup::in_all_formats().start().await;
        for model in BUNDLED {
            let loaded = server.ctl(&["load", model]).await;
            assert_eq!(loaded.code, 0, "{model}: {}", loaded.err);
        }
        server
    }

    /// What the worker of `model` generates, or the message with which it refuses.
    pub(crate) async fn generate(&self, model: &str, request: GenerateRequest) -> Result<Generated, String> {
        let mut worker = self.control.worker(model).await;
        let request = GenerateRequest { model: model.to_owned(), ..request };
        let events = worker.generate(request).await.map_err(|status| status.message().to_owned())?;
        let fold = events.into_inner().try_fold(Generated::default(), async |mut all, event| {
            assert_eq!(event.index as usize, all.tokens.len(), "no gap, no repetition");
            all.tokens.extend(event.tokens);
            match event.event {
                Some(Event::Delta(delta)) => all.add(delta),
                Some(Event::Finished(finished)) => {
                    all.reason = finished.reason();
                    all.add(finished.rest.unwrap_or_default());
                }
                Some(Event::Prompt(prompt)) => {
                    assert!(
                        all.prompt.is_none() && all.tokens.is_empty(),
                        "the prompt comes first, and once"
                    );
                    all.prompt = Some(prompt);
                }
                Some(Event::Accepted(_)) | None => {}
            }
            Ok(all)
        });
        fold.await.map_err(|status| status.message().to_owned())
    }
}
