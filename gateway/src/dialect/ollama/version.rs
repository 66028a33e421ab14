//! `GET /api/version`

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

/// The version of Ollama whose API this is. Clients refuse to work with one that is too old.
const API: &str = "0.13.5";

/// Whose API this is, and what serves it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaVersion")]
pub(in crate::dialect) struct Version {
    version: &'static str,
    /// Of this server.
    impetus: &'static str,
}

/// Says the version.
pub(super) async fn read() -> Json<Version> {
    Json(Version { version: API, impetus: env!("CARGO_PKG_VERSION") })
}

#[cfg(test)]
mod tests {
    use super::API;

    #[test]
    fn clients_that_ask_for_0_13_4_are_content() {
        let numbers: Vec<u32> = API.split('.').map(|number| number.parse().unwrap()).collect();
        assert!(numbers.len() == 3 && numbers >= vec![0, 13, 4]);
    }
}
