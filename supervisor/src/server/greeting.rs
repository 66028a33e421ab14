//! What a person who starts the server wants to know.

use std::path::Path;

use impetus_config::Entrance;

use crate::{
    control::Control,
    gateway::{GatewayState, Stage},
};

/// Says what was found, and once the gateway serves, where it listens and how to try it.
pub(super) fn greet(control: &Control, control_socket: &Path) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), control = %control_socket.display(), "supervisor started");
    let catalog = control.library.catalog();
    for model in catalog.models() {
        match (model.broken(), &model.duplicate_of) {
            (Some(broken), _) => {
                tracing::warn!(model = %model.name, path = %model.path.display(), "model broken: {broken}");
            }
            (None, Some(other)) => {
                let (path, other) = (model.path.display(), other.display());
                tracing::warn!(model = %model.name, %path, "model not served: {other} has this name already");
            }
            (None, None) => tracing::info!(model = %model.name, path = %model.path.display(), "model found"),
        }
    }
    for problem in catalog.problems() {
        tracing::warn!("{problem}");
    }
    if catalog.models().is_empty() {
        tracing::warn!("no model found; put one into a folder of models.dirs");
    }
    tokio::spawn(say_where(control.clone()));
}

async fn say_where(control: Control) {
    let mut gateway = control.gateway.changes();
    let is_ready = |state: &GatewayState| state.stage == Stage::Ready;
    // An error means that the server stops before its gateway ever served.
    let Ok(entrances) = gateway.wait_for(is_ready).await.map(|state| state.entrances.clone()) else { return };
    let scheme = if control.configured.now().gateway.tls.cert.is_some() { "https" } else { "http" };
    for (entrance, listen) in &entrances {
        match entrance {
            Entrance::Gateway => tracing::info!("listening on {scheme}://{listen}"),
            Entrance::Ollama => tracing::info!("listening for Ollama's clients on {scheme}://{listen}"),
        }
    }
    if let Some((model, (_, listen))) = control.library.default_model().zip(entrances.first()) {
        tracing::info!("try: {}", example(&format!("{scheme}://{listen}"), &model));
    }
}

/// A command to paste. A model's name has no character that a shell or JSON would take otherwise.
fn example(url: &str, model: &str) -> String {
    let body = format!(
        r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"count from 1 to 20"}}]}}"#
    );
    format!("curl -N {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_can_be_pasted() {
        let command = example("http://127.0.0.1:8080", "impetus-tiny");
        assert_eq!(
            command,
            "curl -N http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' -d '{\"model\":\
             \"impetus-tiny\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"count from 1 to 20\"}]}'"
        );
    }
}
