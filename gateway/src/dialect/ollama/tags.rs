//! `GET /api/tags`: the models that the caller can use, under each of their names, and the presets that were made of them.

use axum::{Extension, Json, extract::State};
use impetus_proto::supervisor::ModelStatus;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    details::{Details, moment},
    digest::{Digests, hex},
    named::tagged,
    preset::Preset,
};
use crate::{
    dialect::Refusal,
    server::{Caller, Gateway},
};

/// The models.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaTags")]
pub(in crate::dialect) struct Tags {
    models: Vec<Tag>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OllamaTag")]
struct Tag {
    name: String,
    model: String,
    modified_at: String,
    size: u64,
    digest: String,
    details: Details,
}

/// Lists them; broken ones are the operator's concern.
pub(super) async fn list(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Tags>, Refusal> {
    let models = caller.only_allowed(gateway.upstream.models().await?);
    let models: Vec<ModelStatus> = models.into_iter().filter(|model| model.state != "broken").collect();
    let digests = Digests::read(&gateway).await;
    let mut tags: Vec<Tag> = models.iter().flat_map(|model| of_model(model, &digests)).collect();
    for preset in gateway.presets.list().await? {
        let is_of = |model: &&ModelStatus| is_called(model, &preset.from);
        if let Some(model) = models.iter().find(is_of) {
            tags.push(of_preset(&preset, model, &digests));
        }
    }
    Ok(Json(Tags { models: tags }))
}

/// A model under its name, and under each alias: to the clients of this API these are copies.
fn of_model(model: &ModelStatus, digests: &Digests) -> Vec<Tag> {
    let tag = Tag {
        name: String::new(),
        model: String::new(),
        modified_at: moment(model.modified_unix_s),
        size: model.size_bytes,
        digest: digests.of(model),
        details: Details::of(model, None),
    };
    let names = [&model.name].into_iter().chain(&model.aliases);
    names.map(|name| Tag { name: tagged(name), model: tagged(name), ..tag.clone() }).collect()
}

fn of_preset(preset: &Preset, model: &ModelStatus, digests: &Digests) -> Tag {
    let name = tagged(&preset.name);
    Tag {
        modified_at: moment(preset.created_unix_s),
        size: model.size_bytes,
        digest: hex(&format!("{}\n{}", digests.of(model), preset.modelfile)),
        details: Details::of(model, Some(&preset.from)),
        model: name.clone(),
        name,
    }
}

fn is_called(model: &ModelStatus, name: &str) -> bool {
    model.name == name || model.aliases.iter().any(|alias| alias == name)
}
