//! The configuration of the running server: what holds, why, and edits of the file.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, OpenOptions},
    io::{self, Write},
    num::NonZero,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
};

use impetus_config::{Edit, EditError, Loaded, Origin, Setting};
use impetus_proto::{
    Code, Error,
    settings::{self, EditReply, EditRequest, ListReply, ListRequest, settings_server},
};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::{Control, audit, configured::carried_through};

/// The settings of a running server, for gateways.
#[derive(Debug, Clone)]
pub(super) struct SettingsService(pub(super) Control);

#[tonic::async_trait]
impl settings_server::Settings for SettingsService {
    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListReply>, Status> {
        let loaded = self.0.configured.turn().await.clone();
        let file = loaded.file().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let settings = loaded.settings().into_iter().map(message).collect();
        Ok(Response::new(ListReply { file, settings, profiles: profiles() }))
    }

    async fn edit(&self, request: Request<EditRequest>) -> Result<Response<EditReply>, Status> {
        let EditRequest { changes_json, dry_run } = request.into_inner();
        let mut keys: Vec<&str> = changes_json.keys().map(String::as_str).collect();
        keys.sort_unstable();
        let subject = keys.join(" ");
        let control = self.0.clone();
        let done =
            carried_through(tokio::spawn(async move { control.edit(changes_json, dry_run).await })).await;
        if !dry_run {
            audit::attempt("config_edit", &subject, &done);
        }
        Ok(Response::new(done?))
    }
}

impl Control {
    async fn edit(&self, changes: HashMap<String, String>, dry_run: bool) -> Result<EditReply, Error> {
        let changes = values(changes)?;
        let mut loaded = self.configured.turn().await;
        let edit = checked(&loaded, changes).await?;
        let (file, diff) = (edit.path.to_string_lossy().into_owned(), edit.diff());
        let change = self.configured.change(&loaded, edit.loaded.clone())?;
        // What only a reload would find wrong, such as a program that is not there.
        self.check_change(&loaded, &change)?;
        if dry_run {
            let (changed, needs_restart) = (change.changed, change.needs_restart);
            return Ok(EditReply { file, diff, changed, needs_restart });
        }
        let (path, former) = (edit.path.clone(), edit.former.clone());
        on_disk(move || write(&edit.path, &edit.text)).await?;
        let done = self.reload(&mut loaded).await;
        self.note_reload(&done);
        match done {
            Ok(reply) => {
                Ok(EditReply { file, diff, changed: reply.changed, needs_restart: reply.needs_restart })
            }
            Err(error) => {
                let restored = on_disk(move || match former {
                    Some(text) => write(&path, &text),
                    None => fs::remove_file(&path),
                });
                if let Err(problem) = restored.await {
                    tracing::error!(%problem, "the configuration file has an edit that is not in force");
                }
                Err(error)
            }
        }
    }
}

async fn checked(loaded: &Loaded, changes: BTreeMap<String, Value>) -> Result<Edit, Error> {
    let loaded = loaded.clone();
    let edit = spawn_blocking(move || Ok(loaded.edit(&changes)));
    carried_through(edit).await?.map_err(|error| {
        let code = match &error {
            EditError::Outranked { .. } | EditError::NoFile => Code::Conflict,
            _ => Code::InvalidRequest,
        };
        let key = error.key().unwrap_or_default().to_owned();
        Error::new(code, format!("nothing has changed: {error}")).with_param(&key)
    })
}

async fn on_disk(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), Error> {
    let wrong = |error: io::Error| {
        let message = format!("the configuration file cannot be written: {error}; check its permissions");
        Error::new(Code::Internal, message)
    };
    carried_through(spawn_blocking(move || work().map_err(wrong))).await
}

/// Replaces the file's content, whole or not at all; who may read it stays the same.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let next = path.with_extension("toml.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    if let Ok(former) = fs::metadata(path) {
        file.set_permissions(former.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)
}

fn values(changes: HashMap<String, String>) -> Result<BTreeMap<String, Value>, Error> {
    let read = |(key, json): (String, String)| match serde_json::from_str(&json) {
        Ok(value) => Ok((key, value)),
        Err(error) => Err(Error::invalid(&key, format!("{json:?} is no JSON: {error}"))),
    };
    changes.into_iter().map(read).collect()
}

fn profiles() -> Vec<settings::Profile> {
    let n_cores = thread::available_parallelism().map_or(1, NonZero::get);
    let message = |profile: impetus_config::Profile| settings::Profile {
        name: profile.name.to_owned(),
        description: profile.description.to_owned(),
        changes_json: profile.changes.into_iter().map(|(key, value)| (key, value.to_string())).collect(),
    };
    impetus_config::profiles(n_cores).map(message).into()
}

fn message(setting: Setting) -> settings::Setting {
    let origin_kind = match &setting.origin {
        Origin::Default => "default",
        Origin::File { .. } => "file",
        Origin::Environment { .. } => "environment",
        Origin::Argument { .. } => "argument",
    };
    settings::Setting {
        value_json: setting.value.to_string(),
        default_json: setting.default.to_string(),
        origin_kind: origin_kind.to_owned(),
        origin: setting.origin.to_string(),
        editable: setting.is_editable,
        starts_only: setting.starts_only,
        description: setting.description,
        kind: setting.kind.to_owned(),
        key: setting.key,
    }
}
