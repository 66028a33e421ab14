//! `supervisorctl service status`

use std::{path::PathBuf, process::ExitCode};

use impetus_proto::supervisor::StatusRequest;

use super::{Kind, Scope, files, manager};
use crate::ctl::{
    Server,
    connect::connect,
    failure::{Failure, NO_SUCH_THING, NOT_RUNNING},
    print, status,
};

pub(super) async fn run(scope: Scope) -> Result<ExitCode, Failure> {
    let kind = Kind::of_machine();
    let main = kind.found_file(scope)?;
    let Some(text) = files::read(&main)? else {
        print(&format!(
            "not installed: there is no {}; `supervisorctl service install{}` installs it\n",
            main.display(),
            Kind::option(scope)
        ))?;
        return Ok(ExitCode::from(NO_SUCH_THING));
    };
    let by = if files::is_ours(&text) { "" } else { ", not by this program" };
    let standing = manager::standing(kind, scope)?;
    print(&format!(
        "installed: {}{by}\nenabled: {}\nrunning: {}\n",
        main.display(),
        standing.enabled,
        standing.active
    ))?;
    let (text, code) = of_supervisor(kind.configuration(&text)).await;
    print(&text)?;
    Ok(code)
}

/// What the supervisor says of itself.
async fn of_supervisor(config: Option<PathBuf>) -> (String, ExitCode) {
    let server = Server { socket: None, config };
    let told = async {
        let mut client = connect(&server).await?;
        Ok::<_, Failure>(client.status(StatusRequest {}).await?.into_inner())
    };
    match told.await {
        Ok(reply) => (status::headline(&reply), status::exit_code(reply.gateway.as_ref())),
        Err(failure) => (format!("supervisor: {failure}\n"), ExitCode::from(NOT_RUNNING)),
    }
}
