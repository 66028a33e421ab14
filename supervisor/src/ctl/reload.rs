//! `supervisorctl reload`

use std::process::ExitCode;

use impetus_proto::supervisor::{ReloadReply, ReloadRequest};

use super::{Server, connect::connect, failure::Failure, print};

pub(super) async fn run(server: &Server) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.reload(ReloadRequest {}).await?.into_inner();
    print(&text(&reply))?;
    Ok(ExitCode::SUCCESS)
}

fn text(reply: &ReloadReply) -> String {
    let in_force = reply.changed.iter().map(|key| format!("{key} is in force\n"));
    let late = reply.needs_restart.iter().map(|key| format!("{key} waits for a restart of the server\n"));
    let text: String = in_force.chain(late).collect();
    if text.is_empty() { "nothing has changed\n".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_told_with_what_became_of_it() {
        let check = |changed: &[&str], needs_restart: &[&str], expected: &str| {
            let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
            let reply = ReloadReply { changed: keys(changed), needs_restart: keys(needs_restart) };
            assert_eq!(text(&reply), expected);
        };
        check(&[], &[], "nothing has changed\n");
        check(&["budget.ram"], &[], "budget.ram is in force\n");
        check(
            &["model[a].slots"],
            &["log.level"],
            "model[a].slots is in force\nlog.level waits for a restart of the server\n",
        );
        check(&[], &["log.level"], "log.level waits for a restart of the server\n");
    }
}
