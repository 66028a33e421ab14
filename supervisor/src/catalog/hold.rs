//! Holding a name: requests for it wait instead of getting what is about to go.

use std::{collections::BTreeMap, sync::Arc};

use super::Library;

/// Keeps requests for a name waiting, until dropped.
#[derive(Debug)]
pub struct Held {
    library: Arc<Library>,
    name: String,
}

impl Library {
    /// Has requests for `name` wait. An alias is another name than its model's.
    pub fn hold(self: &Arc<Self>, name: &str) -> Held {
        self.held.send_modify(|held| *held.entry(name.to_owned()).or_default() += 1);
        self.meanings.send_replace(());
        Held { library: self.clone(), name: name.to_owned() }
    }

    /// Waits until nobody holds `name`, or what it stands for.
    pub(super) async fn released(&self, name: &str) {
        let mut held = self.held.subscribe();
        // A closed channel cannot be: its sender is here.
        let _ = held.wait_for(|held| !self.is_held(held, name)).await;
    }

    pub(super) fn is_held(&self, held: &BTreeMap<String, usize>, name: &str) -> bool {
        if held.is_empty() {
            return false;
        }
        let names = self.names();
        let (name, model) = if name.is_empty() {
            (names.default_name().unwrap_or_default(), self.default_model().unwrap_or_default())
        } else {
            (name, names.canonical(name).to_owned())
        };
        held.contains_key(name) || held.contains_key(&model)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.library.held.send_modify(|held| {
            if let Some(n_holders) = held.get_mut(&self.name) {
                *n_holders -= 1;
                if *n_holders == 0 {
                    held.remove(&self.name);
                }
            }
        });
    }
}
