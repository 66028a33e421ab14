//! How much processes log, for `supervisorctl log-level`.

use impetus_proto::{
    Code, Error,
    level::{ListReply, ListRequest, Process, SetRequest, levels_server},
};
use tonic::{Request, Response, Status};

use super::{Control, audit};
use crate::{
    events::{Kind, Note},
    gateway, server,
};

/// The levels of a running server.
#[derive(Debug, Clone)]
pub(super) struct LevelService(pub(super) Control);

#[tonic::async_trait]
impl levels_server::Levels for LevelService {
    async fn set(&self, request: Request<SetRequest>) -> Result<Response<ListReply>, Status> {
        let request = request.into_inner();
        let subject = request.target.clone();
        let done = self.0.set_level(request).await;
        audit::attempt("log_level", &subject, &done);
        done?;
        Ok(Response::new(self.0.list_levels().await?))
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListReply>, Status> {
        Ok(Response::new(self.0.list_levels().await?))
    }
}

impl Control {
    async fn set_level(&self, SetRequest { level, target }: SetRequest) -> Result<(), Error> {
        if !level.is_empty() {
            impetus_telemetry::check_level(&level)
                .map_err(|error| Error::invalid("level", error.to_string()))?;
        }
        let target = if target.is_empty() { None } else { Some(self.level_target(&target).await?) };
        let level = Some(level).filter(|level| !level.is_empty());
        let levels = &self.witness.levels;
        levels.set(target.as_deref(), level.as_deref());
        let own =
            levels.now().level(&[server::NAME]).unwrap_or(&self.configured.first_log_level()).to_owned();
        impetus_telemetry::set_level(&own).map_err(|error| Error::internal(error.to_string()))?;
        let (subject, level) =
            (target.as_deref().unwrap_or("all"), level.as_deref().unwrap_or("as configured"));
        self.note(Note::new(Kind::LogLevelChanged, subject, format!("logs {level}")));
        Ok(())
    }

    /// What is meant by `target`: a process, or a model.
    async fn level_target(&self, target: &str) -> Result<String, Error> {
        if [gateway::NAME, server::NAME].contains(&target) {
            return Ok(target.to_owned());
        }
        let snapshot = self.fleet.snapshot().await?;
        if snapshot.workers.iter().any(|row| row.id.as_str() == target) {
            return Ok(target.to_owned());
        }
        let model = self.library.canonical(target);
        if self.library.lookup(&model).is_ok() {
            return Ok(model);
        }
        let message = format!(
            "there is no model or worker {target:?}; `supervisorctl status` lists workers and models"
        );
        Err(Error::new(Code::ModelNotFound, message))
    }

    async fn list_levels(&self) -> Result<ListReply, Error> {
        let (said, configured) = (self.witness.levels.now(), self.configured.first_log_level());
        let process = |name: &str, model: &str| {
            let names = [name, model];
            let level = said.level(if model.is_empty() { &names[..1] } else { &names });
            Process {
                name: name.to_owned(),
                model: model.to_owned(),
                level: level.unwrap_or(&configured).to_owned(),
                changed: level.is_some(),
            }
        };
        let snapshot = self.fleet.snapshot().await?;
        let workers = snapshot.workers.iter().filter(|row| row.pid.is_some());
        let workers = workers.map(|row| process(row.id.as_str(), row.model.as_deref().unwrap_or_default()));
        let own = [process(server::NAME, ""), process(gateway::NAME, "")];
        Ok(ListReply { processes: own.into_iter().chain(workers).collect() })
    }
}
