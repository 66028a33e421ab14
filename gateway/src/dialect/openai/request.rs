//! A completion request, understood: what both completion endpoints read from a body.

use impetus_proto::{Error, worker::GenerateRequest};

use super::{field::Fields, ignored::Ignored, keep_alive, parameter, sampling, shape::Shape};

/// The most choices of one answer, as the API defines it.
const MAX_CHOICES: i64 = 128;

/// A completion request, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Params {
    /// What the client named; empty means the default model.
    pub(super) model: String,
    /// What is asked for each choice.
    pub(super) generate: GenerateRequest,
    pub(super) n_choices: u32,
    /// Seconds that the model is to stay loaded afterwards; negative: it stays; absent: as configured.
    pub(super) keep_alive: Option<i64>,
    pub(super) delivery: Delivery,
    pub(super) ignored: Ignored,
}

/// How the client wants its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) is_streamed: bool,
    pub(super) include_usage: bool,
}

impl Delivery {
    /// Takes `stream` and `stream_options`.
    fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Self, Error> {
        let is_streamed = fields.flag("stream")?.unwrap_or(false);
        let Some(options) = fields.raw("stream_options") else {
            return Ok(Self { is_streamed, include_usage: false });
        };
        let mut options = Fields::of(options, "stream_options".to_owned())?;
        let include_usage = options.flag("include_usage")?.unwrap_or(false);
        if options.flag("include_obfuscation")?.unwrap_or(false) {
            let path = "stream_options.include_obfuscation";
            return Err(parameter::unsupported(path, format!("{path} is not supported by this server")));
        }
        ignored.add("stream_options.", &options);
        Ok(Self { is_streamed, include_usage })
    }
}

/// Reads the body of a request to the endpoint `S`.
pub(super) fn params<S: Shape>(body: &[u8]) -> Result<Params, Error> {
    let mut fields = Fields::of_body(body)?;
    let mut ignored = Ignored::default();
    let model = fields.text("model")?.unwrap_or_default();
    let input = S::input(&mut fields, &mut ignored)?;
    let delivery = Delivery::take(&mut fields, &mut ignored)?;
    let n_choices = fields.integer("n", 1..=MAX_CHOICES)?.unwrap_or(1) as u32;
    let keep_alive = keep_alive::take(&mut fields)?;
    let sampling = sampling::sampling(&mut fields)?;
    let stopping = sampling::stopping(&mut fields, S::DEFAULT_MAX_TOKENS)?;
    parameter::refuse(&mut fields, S::UNOFFERED)?;
    parameter::refuse(&mut fields, parameter::COMMON)?;
    parameter::accept_bookkeeping(&mut fields)?;
    ignored.add("", &fields);
    let generate = GenerateRequest {
        input: Some(input),
        sampling: Some(sampling),
        stopping: Some(stopping),
        ..GenerateRequest::default()
    };
    Ok(Params { model, generate, n_choices, keep_alive, delivery, ignored })
}
