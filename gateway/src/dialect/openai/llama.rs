//! llama.cpp's own endpoints, which editors' plug-ins and tools know, with what vLLM has under the same names.

mod apply_template;
mod completion;
mod detokenize;
mod props;
mod slots;
mod tokenize;

use axum::routing::{get, post};
use impetus_config::Scope;

pub(super) use self::{
    apply_template::{InputTokens, Rendered, count as input_tokens},
    completion::{Answer as Completion, check_completion, check_infill},
    detokenize::{Answer as Detokenized, check as check_detokenize},
    props::Props,
    slots::Slot,
    tokenize::{Answer as Tokenized, check as check_tokenize},
};

use crate::{access::Need, server::Routes};

/// What clients are told of the build.
const BUILD: &str = concat!("impetus-", env!("CARGO_PKG_VERSION"));

/// The paths of these endpoints.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/tokenize", post(tokenize::create))
        .route("/detokenize", post(detokenize::create))
        .route("/apply-template", post(apply_template::create))
        .route("/infill", post(completion::infill))
        .route("/completion", post(completion::create))
        .route("/props", get(props::read))
        .route_for(Need::Scope(Scope::Admin), "/slots", get(slots::read))
}
