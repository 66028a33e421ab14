//! `Begin` and `Wait`: other programs for this server, and what became of that.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use impetus_proto::{
    Code, Error, PROTOCOL,
    upgrade::{BeginReply, BeginRequest, Outcome, Part, WaitRequest, upgrades_server},
};
use tonic::{Request, Response, Status};

use super::{Control, audit, configured::carried_through};
use crate::{
    events::{Kind, Note},
    fleet::Role,
    gateway, server,
    upgrade::{Resumed, Tried, try_supervisor},
    worker::State,
};

/// The upgrades of a running server, for `supervisorctl`.
#[derive(Debug, Clone)]
pub(super) struct UpgradeService(pub(super) Control);

#[tonic::async_trait]
impl upgrades_server::Upgrades for UpgradeService {
    async fn begin(&self, request: Request<BeginRequest>) -> Result<Response<BeginReply>, Status> {
        let (request, control) = (request.into_inner(), self.0.clone());
        let subject = request.binaries.clone();
        let refused = carried_through(tokio::spawn(async move { Err(control.upgrade(request).await) })).await;
        audit::attempt("upgrade", &subject, &refused);
        Ok(Response::new(refused?))
    }

    async fn wait(&self, request: Request<WaitRequest>) -> Result<Response<Outcome>, Status> {
        Ok(Response::new(self.0.upgrades.outcome(request.into_inner().id).await?))
    }
}

impl Control {
    /// Answers with an error, or not at all, since another supervisor is there then.
    async fn upgrade(&self, BeginRequest { id, binaries }: BeginRequest) -> Error {
        if let Err(error) = self.upgrades.begin(id) {
            return error;
        }
        let error = self.try_upgrade(id, binaries).await;
        self.upgrades.give_up();
        let note = Note::new(Kind::UpgradeFailed, server::NAME, &error.message);
        self.note(note);
        tracing::error!(%error, "no upgrade");
        error
    }

    async fn try_upgrade(&self, id: u64, binaries: String) -> Error {
        let places = &self.configured.places;
        let dir = if binaries.is_empty() { places.program_dir.clone() } else { PathBuf::from(binaries) };
        let program = dir.join(server::NAME);
        tracing::info!(program = %program.display(), "trying another supervisor");
        if let Err(error) = self.check(&program).await {
            return error;
        }
        // Nothing that changes the server may be half done when another one takes over.
        let _turn = self.configured.turn().await;
        let note =
            Note::new(Kind::UpgradeStarted, server::NAME, format!("is replaced by {}", program.display()));
        self.note(note);
        audit::act("upgrade", &program.to_string_lossy());
        self.upgrades.go(id, program).await
    }

    /// Refuses what could not go on with what runs.
    async fn check(&self, program: &std::path::Path) -> Result<(), Error> {
        if !program.is_file() {
            return Err(refused(&format!("there is no program {}", program.display())));
        }
        if self.gateway.state().stage != gateway::Stage::Ready {
            return Err(refused(
                "the gateway does not serve, and only one that does keeps its port open meanwhile",
            ));
        }
        let patience = Duration::from_secs(self.configured.now().supervisor.load_timeout_s);
        let tried = try_supervisor(&self.launcher, program, patience).await.map_err(|why| refused(&why))?;
        let Tried { protocol, gateway, workers, .. } = &tried;
        if *protocol != PROTOCOL {
            let version = &tried.version;
            return Err(refused(&format!(
                "supervisor {version} speaks protocol {protocol} with its children and those that run speak \
                 {PROTOCOL}; stop the server and start the new one"
            )));
        }
        let places = &self.configured.places;
        if (&tried.runtime_dir, &tried.state_dir) != (&places.runtime_dir, &places.state_dir) {
            return Err(refused(
                "supervisor.runtime_dir or supervisor.state_dir has changed in the configuration, which only a \
                 restart takes up",
            ));
        }
        gateway.as_ref().map_err(|why| refused(why))?;
        let in_use = self.formats_in_use().await?;
        for (format, version) in workers {
            match version {
                Err(why) if in_use.contains(format) => return Err(refused(why)),
                Err(why) => tracing::warn!(format, why, "the new worker does not start; nor has it one now"),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn formats_in_use(&self) -> Result<BTreeSet<String>, Error> {
        let snapshot = self.fleet.snapshot().await?;
        let alive = snapshot.workers.into_iter().filter(|row| row.pid.is_some());
        Ok(alive.map(|row| row.format).collect())
    }

    /// What is left to do by the supervisor that was executed: the gateway and the workers are still those from before.
    pub(crate) async fn finish_upgrade(self, resumed: &Resumed) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let former = resumed.version.clone();
        let outcome = if let Some(failure) = resumed.failure.clone() {
            tracing::error!(failure, "the new supervisor did not come up; this one goes on");
            let note = Note::new(Kind::UpgradeFailed, server::NAME, format!("goes on as it was: {failure}"));
            self.note(note);
            Outcome { former, version, failure, parts: Vec::new() }
        } else {
            let parts = self.renew_children().await;
            tracing::info!(former, version, "upgraded");
            let n_failed = parts.iter().filter(|part| !part.failure.is_empty()).count();
            let message = match n_failed {
                0 => format!("went from {former} to {version}"),
                n => format!("went from {former} to {version}; {n} processes stayed as they were"),
            };
            self.note(Note::new(Kind::UpgradeFinished, server::NAME, message));
            Outcome { former, version, failure: String::new(), parts }
        };
        self.upgrades.finish(outcome);
    }

    /// Replaces the gateway and then the worker of each model, one at a time.
    async fn renew_children(&self) -> Vec<Part> {
        let mut parts = vec![part(gateway::NAME, self.gateway.restart().await)];
        let mut given_up: BTreeSet<String> = BTreeSet::new();
        for (model, format) in self.models_to_renew().await {
            // A program that has failed with one model had better not be given those for which the old worker goes first.
            if given_up.contains(&format) {
                let error = Error::new(Code::Unavailable, format!("another {format} worker did not come up"));
                parts.push(part(&model, Err(error)));
                continue;
            }
            let done = self.renew(&model).await;
            if done.is_err() {
                given_up.insert(format);
            }
            parts.push(part(&model, done.map(drop)));
        }
        parts
    }

    /// The models that are up, with their formats: first those for which another worker fits beside the present one.
    async fn models_to_renew(&self) -> Vec<(String, String)> {
        let Ok(snapshot) = self.fleet.snapshot().await else { return Vec::new() };
        let is_up = |state: &State| matches!(state, State::Ready | State::Loading { .. });
        let mut models = Vec::new();
        for row in snapshot.workers.into_iter().filter(|row| row.role == Role::Main && is_up(&row.state)) {
            let Some(model) = row.model else { continue };
            let Ok(manifest) = self.library.find(&model).await else { continue };
            let fits = self.fleet.fits_beside(manifest, model.clone()).await.unwrap_or_default();
            models.push((!fits, model, row.format));
        }
        models.sort();
        models.into_iter().map(|(_, model, format)| (model, format)).collect()
    }
}

fn part(name: &str, done: Result<(), Error>) -> Part {
    let failure = done.err().map(|error| error.message).unwrap_or_default();
    if !failure.is_empty() {
        tracing::error!(name, failure, "not replaced");
    }
    Part { name: name.to_owned(), failure }
}

fn refused(why: &str) -> Error {
    Error::new(Code::Unavailable, format!("nothing has changed: {why}"))
}
