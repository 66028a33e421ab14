//! A completion request, understood: what both completion endpoints read from a body.

use impetus_proto::{
    Error,
    worker::{GenerateRequest, Logprobs, generate_request::Input},
};

use super::{
    bookkeeping, parameter, sampling,
    shape::{Asked, Shape},
    structure,
};
use crate::dialect::{choices::Count, field::Fields, ignored::Ignored, keep_alive, names::Names};

/// The most choices of one answer, as the API defines it.
const MAX_CHOICES: i64 = 128;

/// The most completions that one request may cause, with all its prompts.
const MAX_SEQUENCES: u32 = 256;

/// A completion request, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Params<S> {
    /// How its choices are written.
    pub(super) shape: S,
    /// What the client named; empty means the default model.
    pub(super) model: String,
    /// What is asked for each choice, but for its input.
    pub(super) generate: GenerateRequest,
    /// What is to be continued.
    pub(super) inputs: Vec<Input>,
    /// Choices of each input in the answer.
    pub(super) n_kept: u32,
    /// Choices of each input that are generated.
    pub(super) n_each: u32,
    /// Seconds that the model is to stay loaded afterwards; negative: it stays; absent: as configured.
    pub(super) keep_alive: Option<i64>,
    pub(super) delivery: Delivery,
    /// The tier that serves it, where the client named one.
    pub(super) service_tier: Option<&'static str>,
    pub(super) names: Names,
    pub(super) ignored: Ignored,
}

/// How the client wants its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) is_streamed: bool,
    pub(super) usage: UsageAsked,
    /// Chunks are padded, so that their lengths say little of the text.
    pub(super) is_obfuscated: bool,
    /// With every chunk, as far as they are known.
    pub(super) continuous_timings: bool,
}

/// When a stream says what it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UsageAsked {
    #[default]
    Never,
    AtTheEnd,
    /// With every chunk, as far as it is known.
    Always,
}

impl Delivery {
    /// Takes `stream`, `stream_options` and llama.cpp's `timings_per_token`.
    pub(super) fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Self, Error> {
        let is_streamed = fields.flag("stream")?.unwrap_or(false);
        let continuous_timings = fields.flag("timings_per_token")?.unwrap_or(false);
        let Some(mut options) = fields.object("stream_options")? else {
            return Ok(Self { is_streamed, continuous_timings, ..Self::default() });
        };
        let (at_the_end, always) = (options.flag("include_usage")?, options.flag("continuous_usage_stats")?);
        let delivery = Self {
            is_streamed,
            usage: match (at_the_end, always) {
                (_, Some(true)) => UsageAsked::Always,
                (Some(true), _) => UsageAsked::AtTheEnd,
                _ => UsageAsked::Never,
            },
            is_obfuscated: options.flag("include_obfuscation")?.unwrap_or(false),
            continuous_timings,
        };
        ignored.add("stream_options.", &options);
        Ok(delivery)
    }
}

impl<S> Params<S> {
    pub(super) fn count(&self) -> Count {
        Count { n_prompts: self.inputs.len() as u32, n_each: self.n_each }
    }
}

/// Reads the body of a request to the endpoint `S`.
pub(super) fn params<S: Shape>(body: &[u8]) -> Result<Params<S>, Error> {
    let mut fields = Fields::of_body(body)?;
    let mut ignored = Ignored::default();
    let model = fields.text("model")?.unwrap_or_default();
    let Asked { shape, inputs, best_of, logprobs, echo, functions } = S::read(&mut fields, &mut ignored)?;
    let structure = structure::structure(&mut fields, &mut ignored)?;
    let delivery = Delivery::take(&mut fields, &mut ignored)?;
    let n_kept = fields.integer("n", 1..=MAX_CHOICES)?.unwrap_or(1) as u32;
    let n_each = best_of.unwrap_or(n_kept);
    check_count(n_kept, n_each, inputs.len(), delivery)?;
    let keep_alive = keep_alive::take(&mut fields)?;
    let sampling = sampling::sampling(&mut fields)?;
    let stopping = sampling::stopping(&mut fields, S::DEFAULT_MAX_TOKENS)?;
    let service_tier = bookkeeping::service_tier(&mut fields)?;
    parameter::refuse(&mut fields, S::UNOFFERED)?;
    parameter::refuse(&mut fields, parameter::COMMON)?;
    bookkeeping::accept(&mut fields)?;
    ignored.add("", &fields);
    let structure_param = structure.as_ref().map(|structure| structure.param.clone());
    let names = Names { input: S::INPUT, structure: structure_param, functions };
    let generate = GenerateRequest {
        sampling: Some(sampling),
        stopping: Some(stopping),
        structure: structure.map(|structure| structure.structure),
        // The best are known by what they were worth.
        logprobs: logprobs.or_else(|| (n_each > n_kept).then(Logprobs::default)),
        echo,
        ..GenerateRequest::default()
    };
    Ok(Params {
        shape,
        model,
        generate,
        inputs,
        n_kept,
        n_each,
        keep_alive,
        delivery,
        service_tier,
        names,
        ignored,
    })
}

fn check_count(n_kept: u32, n_each: u32, n_prompts: usize, delivery: Delivery) -> Result<(), Error> {
    if n_each < n_kept {
        let message = format!("best_of is {n_each}; it must be at least n, which is {n_kept}");
        return Err(Error::invalid("best_of", message));
    }
    if n_each > n_kept && delivery.is_streamed {
        let message =
            "best_of cannot be streamed when it is larger than n: which are the best is known at the end";
        return Err(Error::invalid("best_of", message));
    }
    let n_sequences = n_prompts.saturating_mul(n_each as usize);
    if n_prompts > 1 && n_sequences > MAX_SEQUENCES as usize {
        let message = format!(
            "prompt has {n_prompts} prompts of {n_each} choices each; one request may have {MAX_SEQUENCES} together"
        );
        return Err(Error::invalid("prompt", message));
    }
    Ok(())
}
