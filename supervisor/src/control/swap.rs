//! `Swap`

use impetus_proto::{
    Code, Error,
    supervisor::{SwapReply, SwapRequest},
};

use super::Control;

impl Control {
    /// Answers when the alias means the new model and that one serves.
    #[allow(clippy::unused_async)]
    pub(super) async fn answer_swap(&self, request: SwapRequest) -> Result<SwapReply, Error> {
        Err(Error::new(Code::UnsupportedParameter, format!("cannot swap {}", request.alias)))
    }
}
