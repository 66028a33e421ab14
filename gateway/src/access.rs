//! Who may come in: the names that clients ask for, the web pages that they are, the keys that they have, and what
//! each key opens. Decided before anything of a request but its head is read.

mod address;
mod bucket;
mod caller;
mod credential;
mod follow;
mod host;
mod key;
mod origin;
mod quota;
mod refused;

use std::{sync::Arc, time::SystemTime};

use axum::http::{Method, request::Parts};
use impetus_config::{Config, Scope};
use impetus_proto::key::{KeySet, KeyUse};
use tokio::{sync::watch, time::Instant};
use tower_http::cors::CorsLayer;

pub(crate) use address::Addresses;
pub(crate) use bucket::Bucket;
pub(crate) use caller::Caller;
pub(crate) use follow::follow;
pub(crate) use quota::Standing;
pub(crate) use refused::{Reason, Refused};

use host::Hosts;
use key::{Key, Keyring};
use origin::Origins;

/// What a route asks of whoever uses it, where keys are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it tells nothing but that the server is there.
    Nothing,
    /// A key, whatever it is for.
    Key,
    /// A key that is for this.
    Scope(Scope),
}

/// The rules, and the keys of now.
#[derive(Debug)]
pub(crate) struct Access {
    hosts: Hosts,
    origins: Origins,
    allows_unauthenticated: bool,
    /// Whether whoever comes without a key may change the server.
    allows_changes: bool,
    is_local: bool,
    keys: watch::Sender<Arc<Keyring>>,
}

impl Access {
    /// As configured, with the keys that the configuration declares.
    pub(crate) fn new(config: &Config) -> Self {
        let is_local = config.gateway.is_local();
        let allows_unauthenticated = config.auth.allow_unauthenticated;
        Self {
            hosts: Hosts::new(&config.gateway, is_local, allows_unauthenticated),
            origins: Origins::new(&config.gateway.cors),
            allows_unauthenticated,
            allows_changes: config.auth.admin_without_keys.unwrap_or(is_local),
            is_local,
            keys: watch::Sender::new(Arc::new(Keyring::declared(&config.auth.key))),
        }
    }

    /// Whether the request asks for this server by one of its names, and from a page that may; how pages from
    /// elsewhere are answered, where it is one of those.
    pub(crate) fn check_origin(&self, head: &Parts) -> Result<Option<CorsLayer>, Refused> {
        self.hosts.check(head)?;
        self.origins.check(head)
    }

    /// Who sent the request, if they may use a route that needs this.
    pub(crate) fn admit(&self, head: &Parts, need: Need) -> Result<Caller, Refused> {
        let keys = self.keys.borrow().clone();
        let caller = identify(head, &keys);
        if need == Need::Nothing {
            return Ok(caller.unwrap_or_default());
        }
        let caller = match caller {
            Ok(caller) => caller,
            Err(_) if !self.asks_for_keys(&keys) => {
                if need == Need::Scope(Scope::Admin) && !self.allows_changes && !head.method.is_safe() {
                    return Err(Refused::change());
                }
                Caller::default()
            }
            Err(refused) => return Err(refused),
        };
        if let Need::Scope(scope) = need {
            caller.check_scope(scope)?;
        }
        if head.method != Method::GET && head.method != Method::HEAD {
            caller.take_request(Instant::now())?;
        }
        Ok(caller)
    }

    /// The keys that were made are these from now on; those that stay keep what is left of their minute.
    pub(crate) fn set_keys(&self, made: KeySet, now: Instant) {
        self.keys.send_modify(|keys| *keys = Arc::new(keys.with_made(made, now)));
    }

    /// Waits until the key of this name is known here, or is known no more.
    pub(crate) async fn until_made(&self, name: &str, is_made: bool) {
        // An error would mean that there are no keys to wait for.
        let _ = self.keys.subscribe().wait_for(|keys| keys.has_made(name) == is_made).await;
    }

    /// When keys were last used, those that ever were.
    pub(crate) fn uses(&self) -> Vec<KeyUse> {
        self.keys.borrow().uses()
    }

    /// Whether requests without a key are refused.
    fn asks_for_keys(&self, keys: &Keyring) -> bool {
        !self.allows_unauthenticated && (!self.is_local || keys.is_in_use())
    }
}

fn identify(head: &Parts, keys: &Keyring) -> Result<Caller, Refused> {
    credential::refuse_in_query(&head.uri)?;
    let key: Arc<Key> = keys.find(credential::presented(&head.headers), SystemTime::now())?;
    Ok(Caller::with(key))
}

#[cfg(test)]
pub(crate) mod tests;
