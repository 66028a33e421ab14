//! `supervisorctl key revoke`

use std::process::ExitCode;

use impetus_proto::key::RevokeRequest;

use super::{
    super::{Server, failure::Failure, print},
    offline::{self, Reached},
};

pub(super) async fn run(server: &Server, name: String) -> Result<ExitCode, Failure> {
    let left = match offline::reach(server).await? {
        Reached::Server(mut client) => {
            client.revoke(RevokeRequest { name: name.clone() }).await?.into_inner().left
        }
        Reached::File(keys, config) => keys.revoke(&name, &config).map_err(Failure::Refused)?,
    };
    print(&text(&name, left))?;
    Ok(ExitCode::SUCCESS)
}

fn text(name: &str, left: u32) -> String {
    match left {
        0 => {
            format!("the key {name:?} is revoked; no other is left, so nobody comes in until there is one\n")
        }
        _ => format!("the key {name:?} is revoked\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_revokes_the_last_key_is_told() {
        assert_eq!(text("a", 2), "the key \"a\" is revoked\n");
        assert!(text("a", 0).contains("no other is left"));
    }
}
