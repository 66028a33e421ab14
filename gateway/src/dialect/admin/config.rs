//! `GET` and `POST /admin/config`, `POST /admin/config/reload` and `GET /admin/profiles`: what holds, why, and changes of
//! it.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
};
use impetus_proto::{
    Error,
    settings::{self, EditRequest, ListReply, ListRequest},
    supervisor::ReloadRequest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ask::body, some, steer::carried_through};
use crate::{dialect::Refusal, server::Gateway};

/// Every setting of the running server.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Configuration {
    /// That an edit writes, be it there or not; null: there is no place for one.
    file: Option<String>,
    settings: Vec<Setting>,
    profiles: Vec<Profile>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Setting {
    /// Such as `gateway.max_queue`, or `model[NAME].ttl`.
    key: String,
    section: String,
    /// null: none; "hidden": it is not shown
    value: Value,
    default: Value,
    origin: Origin,
    is_default: bool,
    editable: bool,
    applies: Applies,
    description: Option<String>,
    /// Its type, in words.
    kind: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SettingOrigin")]
struct Origin {
    /// default, file, environment or argument
    kind: String,
    text: String,
}

/// From when on a changed value counts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Applies {
    Reload,
    Restart,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Profiles {
    profiles: Vec<Profile>,
}

/// A set of settings with a name.
#[derive(Debug, Serialize, JsonSchema)]
struct Profile {
    name: String,
    description: String,
    /// By key; null: the default.
    changes: BTreeMap<String, Value>,
    /// All of them hold.
    active: bool,
}

/// Values by key, of which null takes a setting out of the file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConfigurationWish")]
pub(super) struct Wish {
    changes: BTreeMap<String, Value>,
    /// Only checks.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ConfigurationChange {
    /// Keys whose new value is in force.
    changed: Vec<String>,
    /// Keys whose new value counts from the next start on.
    needs_restart: Vec<String>,
    file: String,
    /// What changes in the file.
    diff: String,
    dry_run: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Reloaded {
    changed: Vec<String>,
    needs_restart: Vec<String>,
}

/// Every setting with its value and where that comes from.
pub(super) async fn read(State(gateway): State<Gateway>) -> Result<Json<Configuration>, Refusal> {
    let listed = listed(&gateway).await?;
    let settings = listed.settings.into_iter().map(Setting::try_from).collect::<Result<Vec<_>, _>>()?;
    let profiles = profiles_of(listed.profiles, &settings)?;
    Ok(Json(Configuration { file: some(&listed.file), settings, profiles }))
}

/// The sets of settings that there are.
pub(super) async fn profiles(State(gateway): State<Gateway>) -> Result<Json<Profiles>, Refusal> {
    let listed = listed(&gateway).await?;
    let settings = listed.settings.into_iter().map(Setting::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Profiles { profiles: profiles_of(listed.profiles, &settings)? }))
}

/// Writes changes into the configuration file and reloads it.
pub(super) async fn edit(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Json<ConfigurationChange>, Refusal> {
    let Wish { changes, dry_run } = body(request, &gateway).await?;
    let changes_json = changes.into_iter().map(|(key, value)| (key, value.to_string())).collect();
    let edited = carried_through(async move {
        let request = EditRequest { changes_json, dry_run };
        Ok(gateway.upstream.settings().await?.edit(request).await?.into_inner())
    });
    let settings::EditReply { file, diff, changed, needs_restart } = edited.await?;
    Ok(Json(ConfigurationChange { changed, needs_restart, file, diff, dry_run }))
}

/// Reads the configuration again, as somebody has changed it.
pub(super) async fn reload(State(gateway): State<Gateway>) -> Result<Json<Reloaded>, Refusal> {
    let reloaded = carried_through(async move {
        Ok(gateway.upstream.supervisor().await?.reload(ReloadRequest {}).await?.into_inner())
    });
    let reloaded = reloaded.await?;
    Ok(Json(Reloaded { changed: reloaded.changed, needs_restart: reloaded.needs_restart }))
}

async fn listed(gateway: &Gateway) -> Result<ListReply, Error> {
    Ok(gateway.upstream.settings().await?.list(ListRequest {}).await?.into_inner())
}

fn profiles_of(profiles: Vec<settings::Profile>, settings: &[Setting]) -> Result<Vec<Profile>, Error> {
    let holds = |key: &str, wanted: &Value| {
        let setting = settings.iter().find(|setting| setting.key == key);
        setting
            .is_some_and(|setting| setting.value == *if wanted.is_null() { &setting.default } else { wanted })
    };
    let profile = |profile: settings::Profile| {
        let settings::Profile { name, description, changes_json } = profile;
        let changes = changes_json.into_iter().map(|(key, json)| Ok((key, value(&json)?)));
        let changes = changes.collect::<Result<BTreeMap<_, _>, Error>>()?;
        let active = changes.iter().all(|(key, wanted)| holds(key, wanted));
        Ok(Profile { name, description, changes, active })
    };
    profiles.into_iter().map(profile).collect()
}

fn value(json: &str) -> Result<Value, Error> {
    serde_json::from_str(json).map_err(|error| Error::internal(format!("a setting cannot be read: {error}")))
}

impl TryFrom<settings::Setting> for Setting {
    type Error = Error;

    fn try_from(setting: settings::Setting) -> Result<Self, Error> {
        let (now, default) = (value(&setting.value_json)?, value(&setting.default_json)?);
        Ok(Self {
            section: setting.key.split(['.', '[']).next().unwrap_or_default().to_owned(),
            is_default: now == default,
            value: now,
            default,
            origin: Origin { kind: setting.origin_kind, text: setting.origin },
            editable: setting.editable,
            applies: if setting.starts_only { Applies::Restart } else { Applies::Reload },
            description: some(&setting.description),
            kind: setting.kind,
            key: setting.key,
        })
    }
}
