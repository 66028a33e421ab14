//! Ways to the services of the supervisor that whoever runs the server asks. What is asked may take as long as it takes.

use impetus_proto::{
    Error, MAX_MESSAGE_BYTES,
    event::{crashes_client::CrashesClient, events_client::EventsClient},
    key::keys_client::KeysClient,
    settings::settings_client::SettingsClient,
    store::{ShowReply, ShowRequest, store_client::StoreClient},
    supervisor::supervisor_client::SupervisorClient,
};
use tonic::transport::Channel;

use super::Upstream;

impl Upstream {
    /// Workers, models and logs.
    pub(crate) async fn supervisor(&self) -> Result<SupervisorClient<Channel>, Error> {
        Ok(SupervisorClient::new(self.channel().await?).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// The store of models.
    pub(crate) async fn store(&self) -> Result<StoreClient<Channel>, Error> {
        Ok(StoreClient::new(self.channel().await?).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Everything that is known of a model.
    pub(crate) async fn show(&self, model: &str) -> Result<ShowReply, Error> {
        let request = ShowRequest { model: model.to_owned() };
        Ok(self.store().await?.show(request).await?.into_inner())
    }

    /// What has happened.
    pub(crate) async fn events(&self) -> Result<EventsClient<Channel>, Error> {
        Ok(EventsClient::new(self.channel().await?))
    }

    /// Why processes died.
    pub(crate) async fn crashes(&self) -> Result<CrashesClient<Channel>, Error> {
        Ok(CrashesClient::new(self.channel().await?).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// The keys that open the server.
    pub(crate) async fn keys(&self) -> Result<KeysClient<Channel>, Error> {
        Ok(KeysClient::new(self.channel().await?).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// The configuration.
    pub(crate) async fn settings(&self) -> Result<SettingsClient<Channel>, Error> {
        Ok(SettingsClient::new(self.channel().await?).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// How many requests wait, for a worker or for their turn.
    pub(crate) fn n_waiting(&self) -> usize {
        self.queue.n_waiting()
    }

    async fn channel(&self) -> Result<Channel, Error> {
        self.connections.get(&self.supervisor, "the supervisor").await
    }
}
