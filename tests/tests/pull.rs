//! Models that are fetched: from a hub on this machine, through everything that goes wrong on the way.

mod faults;
mod forms;
mod races;
mod stops;
mod store;

use std::fs;

use impetus_tests::hub::{Hub, Repository};

use crate::harness::{Output, Server, Setup, bundled, bundled_model, chat};

/// A repository that has the bundled model as a quantized one would be there.
fn tiny() -> Repository {
    Repository::default()
        .with("tiny-Q8_0.gguf", fs::read(bundled_model()).unwrap())
        .with("README.md", "read me")
}

/// A server of no model but those that it fetches from this hub.
fn setup(hub: &Hub) -> Setup {
    let setup = hub.settings().iter().fold(Setup::new(), |setup, setting| setup.set(setting));
    // Room on the disk is what machines that test are short of.
    setup.set("pull.reserve='0B'")
}

impl Server {
    /// Pulls, and expects that to work.
    async fn pull(&self, arguments: &[&str]) -> Output {
        let pulled = self.ctl(&[&["pull"], arguments].concat()).await;
        assert_eq!(pulled.code, 0, "{pulled:?}");
        pulled
    }

    /// Pulls, and expects that not to work; what is said.
    async fn pull_in_vain(&self, arguments: &[&str]) -> String {
        let pulled = self.ctl(&[&["pull"], arguments].concat()).await;
        assert_ne!(pulled.code, 0, "{pulled:?}");
        pulled.err
    }

    /// Names of the models of the store.
    async fn stored(&self) -> Vec<String> {
        let listed = self.ctl(&["list", "--json"]).await.json();
        let models = listed["models"].as_array().expect("it is a list").iter();
        models.map(|model| model["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What the model counts.
    async fn counts(&self, model: &str) -> String {
        let mut body = chat("count from 1 to 5");
        body["model"] = model.into();
        self.http.ask(&body).await.text
    }

    /// Whether anything is left of what did not become a model.
    fn has_staged(&self) -> bool {
        fs::read_dir(self.path("state/store/.staging")).is_ok_and(|mut entries| entries.next().is_some())
    }
}
