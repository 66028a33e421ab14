//! `supervisorctl`, run as a person runs it.

use serde_json::Value;

use super::{Server, command, program};

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("it prints UTF-8"),
            err: String::from_utf8(output.stderr).expect("it prints UTF-8"),
        }
    }
}

impl Server {
    /// Runs `supervisorctl` for this server.
    pub(crate) async fn ctl(&self, arguments: &[&str]) -> Output {
        let mut command = command(&program("supervisorctl"), &self.path("."));
        command.arg("--config").arg(self.path("impetus.toml")).args(arguments);
        let run = move || command.output().expect("supervisorctl can be started");
        tokio::task::spawn_blocking(run).await.unwrap().into()
    }
}
