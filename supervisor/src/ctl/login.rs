//! `supervisorctl login` and `supervisorctl logout`

use std::{
    fs::DirBuilder,
    io::{self, IsTerminal, Read},
    os::unix::fs::DirBuilderExt,
    process::ExitCode,
};

use impetus_config::Config;

use super::{Server, failure::Failure, print};
use crate::hubs::{MAX_TOKEN_BYTES, TokenFile, is_token};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The server that the token is for. Default: pull.hub.
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
}

/// Keeps a token, which is read from the terminal unseen or from standard input. A server that runs takes note of it with
/// its next pull.
pub(super) fn login(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let (config, hub) = meant(server, arguments)?;
    let token = read_token(&hub)?;
    if !is_token(&token) {
        return Err(Failure::Token);
    }
    let file = TokenFile::new(&config.supervisor.state_dir);
    DirBuilder::new().recursive(true).mode(0o700).create(&config.supervisor.state_dir)?;
    file.set(&hub, Some(&token))?;
    print(&format!("the token for {hub} is in {}, for this user alone\n", file.path().display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn logout(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let (config, hub) = meant(server, arguments)?;
    let file = TokenFile::new(&config.supervisor.state_dir);
    let had_one = !file.token(&hub).is_empty() && file.set(&hub, None)?;
    print(&if had_one {
        format!("the token for {hub} is gone\n")
    } else {
        format!("there was no token for {hub}\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn meant(server: &Server, arguments: Arguments) -> Result<(Config, String), Failure> {
    let config = impetus_config::load(server.config.as_deref(), &[])?.config;
    let hub = arguments.hub.unwrap_or_else(|| config.pull.hub.clone());
    Ok((config, hub))
}

fn read_token(hub: &str) -> Result<String, Failure> {
    let token = if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("token for {hub} (it is not shown): "))?
    } else {
        let mut text = String::new();
        io::stdin().lock().take(MAX_TOKEN_BYTES as u64 + 2).read_to_string(&mut text)?;
        text
    };
    Ok(token.trim().to_owned())
}
