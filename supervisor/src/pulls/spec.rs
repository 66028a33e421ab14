//! What a fetcher is told of the configuration and of this machine.

use std::{fs, sync::Arc};

use impetus_config::Slots;
use impetus_models::GGUF_FORMAT;
use impetus_proto::{
    Error,
    fetch::{FetchSpec, FitSpec, RemoteSpec},
};

use crate::{
    control::Configured, fleet::FleetHandle, hubs::TokenFile, launch::Launcher, settings, witness::Witness,
};

/// The longest file of certificates, in bytes: twice what all usual authorities take, and half of what a message may.
const MAX_CA_BYTES: u64 = 512 << 10;

/// Slots that a model can do with, where their number is up to the room there is.
const LEAST_SLOTS: u32 = 1;

/// Where fetchers get what they are told.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// The configuration, as it is when a fetcher starts.
    pub configured: Arc<Configured>,
    /// Who knows how much memory models may take.
    pub fleet: FleetHandle,
    /// Starts them.
    pub launcher: Launcher,
    /// Where they log, and what is written down of them.
    pub witness: Witness,
}

impl FetchSettings {
    /// All but what is to be fetched, and where to.
    pub(super) async fn spec(&self) -> Result<FetchSpec, Error> {
        let config = self.configured.now();
        let tokens = TokenFile::new(&self.configured.places.state_dir);
        let remote = |url: &str| RemoteSpec { url: url.to_owned(), token: tokens.token(url) };
        let pull = &config.pull;
        let ca_pem = match &pull.ca_file {
            None => String::new(),
            Some(path) => read(path).map_err(|error| {
                let message = format!("the certificates in {} cannot be read: {error}", path.display());
                Error::invalid("pull.ca_file", message)
            })?,
        };
        let limit = self.fleet.snapshot().await?.pools.limit;
        let gguf = config.workers.get(GGUF_FORMAT).cloned().unwrap_or_default();
        let fit = FitSpec {
            room_bytes: limit.pools().map(|(_, bytes)| bytes).fold(0, u64::saturating_add),
            slots: match gguf.slots {
                Slots::Auto => LEAST_SLOTS,
                Slots::Number(number) => number,
            },
            context_tokens: gguf.context,
            options: gguf.options.into_iter().collect(),
        };
        Ok(FetchSpec {
            reference: String::new(),
            staging: String::new(),
            plan_only: false,
            format: String::new(),
            hub: Some(remote(&pull.hub)),
            ollama: Some(remote(&pull.ollama)),
            ca_pem,
            proxy: pull.proxy.clone().unwrap_or_default(),
            connections: pull.connections,
            chunk_bytes: pull.chunk.0,
            max_bytes_per_s: pull.max_rate.0,
            reserve_bytes: pull.reserve.0,
            fit: Some(fit),
            log: Some(settings::log_spec(&config)),
            search: None,
        })
    }
}

fn read(path: &std::path::Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_CA_BYTES + 1), &mut text)?;
    if text.len() as u64 > MAX_CA_BYTES {
        let why = format!("there are more than {MAX_CA_BYTES} bytes; keep those of your own authorities");
        return Err(std::io::Error::other(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_whole_or_not_at_all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |bytes: u64, is_fine: bool| {
            file.as_file().set_len(bytes).unwrap();
            assert_eq!(read(file.path()).ok().map(|text| text.len() as u64), is_fine.then_some(bytes));
        };
        check(MAX_CA_BYTES, true);
        check(MAX_CA_BYTES + 1, false);
    }
}
