//! stub
use impetus_runtime::engine::Model;

use crate::{config::ModelConfig, error::ModelError, load::Source};

pub(crate) fn load(_source: &Source, architecture: &str) -> Result<Model, ModelError> {
    let known: Vec<_> = ModelConfig::families().collect();
    Err(ModelError::Architecture { name: architecture.to_owned(), known: known.join(", ") })
}
