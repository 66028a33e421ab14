//! The way to the supervisor's store of models.

use impetus_proto::{
    Error, MAX_MESSAGE_BYTES,
    store::{ShowReply, ShowRequest, store_client::StoreClient},
};
use tonic::transport::Channel;

use super::Upstream;

impl Upstream {
    /// A client of the store. What it is asked may take as long as it takes.
    pub(crate) async fn store(&self) -> Result<StoreClient<Channel>, Error> {
        let channel = self.connections.get(&self.supervisor, "the supervisor").await?;
        Ok(StoreClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Everything that is known of a model.
    pub(crate) async fn show(&self, model: &str) -> Result<ShowReply, Error> {
        let request = ShowRequest { model: model.to_owned() };
        Ok(self.store().await?.show(request).await?.into_inner())
    }
}
