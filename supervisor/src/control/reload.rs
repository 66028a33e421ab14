//! `Reload`

use impetus_proto::{Code, Error, supervisor::ReloadReply};

use super::Control;

impl Control {
    /// Answers when what changed in the configuration is in force.
    #[allow(clippy::unused_async)]
    pub(super) async fn answer_reload(&self) -> Result<ReloadReply, Error> {
        Err(Error::new(Code::UnsupportedParameter, "cannot reload"))
    }
}
