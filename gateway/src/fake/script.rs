//! What a scripted worker says of a completion.

use std::time::Duration;

use impetus_proto::{
    Error,
    worker::{
        Accepted, Delta, FinishReason, Finished, GenerateEvent, GenerateRequest, Part, Timings, Usage,
        generate_event::Event, part,
    },
};

use super::MODEL;

/// What a worker does next in one `Generate` call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(GenerateEvent),
    /// End the stream with an error of ours.
    Fail(Error),
    /// End every stream of this worker as the transport does when the process is gone, and its leases, too: somebody
    /// killed it.
    Die,
    /// The same, by its own doing.
    Crash,
    /// End the stream as if all were well.
    End,
    /// Say nothing for a while.
    Wait(Duration),
    /// Say nothing until the caller leaves.
    Stall,
    /// The same, even when the worker is gone.
    Hang,
}

pub(crate) fn accepted() -> Step {
    accepted_at(0)
}

/// The beginning of an answer that resumes behind `index` tokens.
fn accepted_at(index: u32) -> Step {
    event(index, &[], Event::Accepted(Accepted { prompt_tokens: 5 }))
}

/// The tokens from `index` on, standing for `text`.
pub(crate) fn delta(index: u32, tokens: &[u32], text: &str) -> Step {
    event(index, tokens, Event::Delta(saying(text)))
}

/// The tokens from `index` on, standing for these parts.
pub(crate) fn saying_parts(index: u32, tokens: &[u32], parts: impl IntoIterator<Item = part::Part>) -> Step {
    let parts = parts.into_iter().map(|part| Part { part: Some(part) }).collect();
    event(index, tokens, Event::Delta(Delta { parts, logprobs: Vec::new() }))
}

pub(crate) fn finished(index: u32, tokens: &[u32], text: &str) -> Step {
    finished_for(FinishReason::Stop, index, tokens, text)
}

/// The same, for another reason.
pub(crate) fn finished_for(reason: FinishReason, index: u32, tokens: &[u32], text: &str) -> Step {
    let completion_tokens = index + tokens.len() as u32;
    let usage = Usage { prompt_tokens: 5, cached_tokens: 3, completion_tokens, reasoning_tokens: 0 };
    let timings = Timings { queue_us: 250, prefill_us: 4_000, decode_us: 10_000, tokenize_us: 500 };
    let finished = Finished {
        reason: reason.into(),
        rest: Some(saying(text)),
        usage: Some(usage),
        timings: Some(timings),
        ..Finished::default()
    };
    event(index, tokens, Event::Finished(finished))
}

fn saying(text: &str) -> Delta {
    let parts =
        if text.is_empty() { Vec::new() } else { vec![Part { part: Some(part::Part::Text(text.into())) }] };
    Delta { parts, logprobs: Vec::new() }
}

/// A whole answer, a token for each word.
pub(crate) fn completion(text: &str) -> Vec<Step> {
    let words = text.split_inclusive(' ');
    let deltas = words.enumerate().map(|(i, word)| delta(i as u32, &[100 + i as u32], word));
    let mut steps: Vec<Step> = std::iter::once(accepted()).chain(deltas).collect();
    steps.push(finished(steps.len() as u32 - 1, &[2], ""));
    steps
}

/// What is left of `completion(text)` for a request that may resume it.
pub(crate) fn rest(request: &GenerateRequest, text: &str) -> Vec<Step> {
    let steps = completion(text);
    let resumed = request.resume.clone().unwrap_or_default().tokens;
    let whole: Vec<u32> = steps
        .iter()
        .flat_map(|step| match step {
            Step::Send(event) => event.tokens.clone(),
            _ => Vec::new(),
        })
        .collect();
    assert!(whole.starts_with(&resumed), "{resumed:?} is resumed of {whole:?}");
    let n_resumed = resumed.len();
    let mut rest = vec![accepted_at(n_resumed as u32)];
    match steps.get(n_resumed + 1..) {
        Some(steps) if !steps.is_empty() => rest.extend_from_slice(steps),
        _ => rest.push(finished(n_resumed as u32, &[], "")),
    }
    rest
}

/// The same step, said by a worker of another model.
pub(crate) fn of_another_model(step: Step) -> Step {
    match step {
        Step::Send(event) => Step::Send(GenerateEvent { model: "other".into(), ..event }),
        step => step,
    }
}

fn event(index: u32, tokens: &[u32], event: Event) -> Step {
    Step::Send(GenerateEvent { model: MODEL.into(), index, tokens: tokens.to_vec(), event: Some(event) })
}
