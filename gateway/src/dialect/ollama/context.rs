//! What can be said of a request only once its model is known: whether its context is large enough, and whether the model
//! can think and has the template that is asked for.

use std::time::Duration;

use impetus_proto::{
    Code, Error,
    worker::{Description, TokenizeRequest, generate_request::Input, tokenize_request},
};
use tokio::time::Instant;

use super::{answer::Asking, capability, error::cannot, params::Params};
use crate::{
    dialect::parameter::unsupported,
    upstream::{self, Caller},
};

/// Refuses what the model cannot do, and keeps the completion within the context that is asked for. Answers for how long
/// that waited for the model to be loaded.
pub(super) async fn settle(asking: &Asking, params: &mut Params) -> Result<Duration, Error> {
    let begun = Instant::now();
    check_template(asking, params).await?;
    let asks = match params.num_ctx {
        Some(num_ctx) => bind(asking, params, num_ctx).await?,
        None => false,
    };
    let asks = asks || params.thinks || params.asked.template.is_some();
    Ok(if asks && !asking.named.is_loaded() { begun.elapsed() } else { Duration::ZERO })
}

async fn check_template(asking: &Asking, params: &Params) -> Result<(), Error> {
    let template = params.asked.template.as_deref();
    if template.is_none() && !params.thinks {
        return Ok(());
    }
    let Description { chat_template_source: own, output_format, .. } =
        upstream::describe(&asking.gateway.upstream, caller(asking)).await?;
    if params.thinks && !capability::thinks(&own, &output_format) {
        return Err(cannot(&asking.named.shown, "thinking", "think"));
    }
    if template.is_some_and(|template| template.trim() != own.trim()) {
        let message = "template is not supported by this server with another template than the model's own, which \
                       /api/show tells; leave it out";
        return Err(unsupported("template", message));
    }
    Ok(())
}

/// Keeps prompt and completion within `num_ctx` tokens; whether that needed a worker.
async fn bind(asking: &Asking, params: &mut Params, num_ctx: u32) -> Result<bool, Error> {
    let held = check_size(asking, num_ctx)?;
    if num_ctx == held {
        return Ok(false);
    }
    let input = params.asked.input.clone().map(to_tokenize);
    let question = TokenizeRequest { input, ..TokenizeRequest::default() };
    let reply = upstream::tokenize(&asking.gateway.upstream, caller(asking), question).await?;
    let n_prompt = reply.tokens.len();
    let room = u32::try_from(n_prompt).ok().and_then(|n_prompt| num_ctx.checked_sub(n_prompt));
    let Some(room @ 1..) = room else {
        let message = format!(
            "This model's maximum context length is {num_ctx} tokens, as options.num_ctx says. However, the prompt has \
             {n_prompt}. Send less, or ask for a larger num_ctx; this server holds {held}"
        );
        return Err(Error::new(Code::ContextLengthExceeded, message).with_param("options.num_ctx"));
    };
    let stopping = params.generate.stopping.get_or_insert_default();
    stopping.max_tokens = Some(stopping.max_tokens.map_or(room, |most| most.min(room)));
    Ok(true)
}

/// Refuses a context that is larger than the model has here; answers what it has.
pub(super) fn check_size(asking: &Asking, num_ctx: u32) -> Result<u32, Error> {
    let held = asking.named.status.context_tokens;
    if num_ctx <= held {
        return Ok(held);
    }
    let message = format!(
        "options.num_ctx is {num_ctx}, but a request to {:?} has {held} tokens of context on this server; ask for {held} \
         at most, or have its owner raise `context` of that model",
        asking.named.shown
    );
    Err(unsupported("options.num_ctx", message))
}

/// Whoever asks on behalf of the request; how long the model is to stay is said by the request itself.
fn caller(asking: &Asking) -> Caller {
    Caller { id: asking.record.id().clone(), model: asking.named.model.clone(), keep_alive: None }
}

fn to_tokenize(input: Input) -> tokenize_request::Input {
    match input {
        Input::Chat(chat) => tokenize_request::Input::Chat(chat),
        Input::Text(text) => tokenize_request::Input::Text(text),
        Input::Infill(infill) => tokenize_request::Input::Infill(infill),
        // Nothing here makes a prompt of tokens.
        Input::Tokens(_) => tokenize_request::Input::Text(String::new()),
    }
}
