//! `Reload`: the configuration is read again, and what changed in it takes effect.

mod change;

use impetus_config::{Config, Entrance, GatewayConfig, Loaded};
use impetus_proto::{Code, Error, supervisor::ReloadReply};

use self::change::{Gateway, Plan};
use super::{
    Control,
    configured::{Change, carried_through},
};
use crate::{
    events::{Kind, Note},
    gateway::{Listener, Moves},
};

impl Control {
    /// Answers when what changed in the configuration is in force.
    pub(super) async fn answer_reload(&self) -> Result<ReloadReply, Error> {
        let control = self.clone();
        let done = carried_through(tokio::spawn(async move {
            let mut loaded = control.configured.turn().await;
            control.reload(&mut loaded).await
        }))
        .await;
        self.note_reload(&done);
        done
    }

    /// Tells whoever follows events.
    pub(super) fn note_reload(&self, done: &Result<ReloadReply, Error>) {
        let (kind, message) = match done {
            Ok(reply) => (Kind::ConfigReloaded, format!("{} settings changed", reply.changed.len())),
            Err(error) => (Kind::ConfigRefused, error.message.clone()),
        };
        let changed = done.as_ref().map(|reply| reply.changed.join(" ")).unwrap_or_default();
        self.note(Note::new(kind, "configuration", message).with("changed", changed));
    }

    /// The same, for whoever cannot be answered: the log is told.
    pub(crate) async fn reload_unasked(&self) {
        // Success has been logged, with what it was about.
        if let Err(error) = self.answer_reload().await {
            tracing::error!(%error, "configuration not reloaded");
        }
    }

    /// The same for whoever has the turn to change what lasts.
    pub(super) async fn reload(&self, loaded: &mut Loaded) -> Result<ReloadReply, Error> {
        let change = self.configured.read_again(loaded).await?;
        if !change.changed.is_empty() {
            let plan = self.plan(loaded, &change)?;
            self.carry_out(plan).await.map_err(|error| Error {
                message: format!("nothing has changed: {}", error.message),
                ..error
            })?;
        }
        let Change { changed, needs_restart, loaded: new, .. } = change;
        *loaded = new;
        tracing::info!(?changed, ?needs_restart, "configuration reloaded");
        Ok(ReloadReply { changed, needs_restart })
    }

    /// Whether the change could be carried out, as far as that can be told without doing it.
    pub(super) fn check_change(&self, former: &Loaded, change: &Change) -> Result<(), Error> {
        self.plan(former, change).map(drop)
    }

    /// What is to be done, after everything has been checked that can be wrong with it.
    fn plan(&self, former: &Loaded, change: &Change) -> Result<Plan, Error> {
        self.check_programs(&former.config, &change.config)?;
        self.configured.keys.check_exposure(&change.config).map_err(|error| refused(&error.to_string()))?;
        let names = self.library.names_of(&change.config).map_err(|error| refused(&error.to_string()))?;
        let (old, new) = (&former.config.gateway, &change.config.gateway);
        let gateway = if old != new || is_other_door(&former.config, &change.config) {
            Gateway::Another(self.moves(old, new)?)
        } else {
            Gateway::Stays
        };
        Ok(Plan::new(names, change.config.clone(), gateway))
    }

    /// Opens the entrances that are new or elsewhere.
    fn moves(&self, old: &GatewayConfig, new: &GatewayConfig) -> Result<Moves, Error> {
        let mut moves = Moves::default();
        for entrance in Entrance::ALL {
            let (former, address) = (old.address_of(entrance), new.address_of(entrance));
            if former == address {
                continue;
            }
            if self.gateway.is_activated(entrance) {
                return Err(refused(&format!(
                    "{}: the service manager listens on the former address; `supervisorctl service install` writes its \
                     units anew, and a restart of the service takes them up",
                    entrance.setting()
                )));
            }
            match address {
                Some(address) => {
                    let opened = Listener::open(entrance, address);
                    moves.opened.push(opened.map_err(|error| refused(&error.to_string()))?);
                }
                None => moves.closed.push(entrance),
            }
        }
        Ok(moves)
    }

    /// Refuses commands that were changed to what is no program: nobody would serve any more.
    fn check_programs(&self, former: &Config, config: &Config) -> Result<(), Error> {
        let gateway = (former.gateway.command != config.gateway.command)
            .then(|| ("gateway.command".to_owned(), &config.gateway.command));
        let workers = config.workers.iter().filter_map(|(format, worker)| {
            let is_same = former.workers.get(format).is_some_and(|old| old.command == worker.command);
            (!is_same).then(|| (format!("workers.{format}.command"), &worker.command))
        });
        for (key, command) in gateway.into_iter().chain(workers) {
            let program = self.configured.places.program(command);
            if !program.is_file() {
                return Err(refused(&format!("{key}: there is no program {}", program.display())));
            }
        }
        Ok(())
    }
}

/// Whether the gateway is told something else in other sections than its own.
fn is_other_door(former: &Config, config: &Config) -> bool {
    former.auth != config.auth || former.responses != config.responses || former.telemetry != config.telemetry
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, format!("nothing has changed: {why}"))
}
