//! `supervisorctl key add`

use std::{
    fmt::Write,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use impetus_config::{KeyEntry, Moment, PRIORITIES, Scope};
use impetus_proto::key::AddRequest;
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};

use super::{
    super::{Server, failure::Failure, print},
    offline::{self, Reached},
};
use crate::keys::to_message;

/// What a key begins with, for people and for programs that look for leaked ones.
const PREFIX: &str = "sk-impetus-";

#[derive(Debug, Args)]
pub(in crate::ctl) struct Arguments {
    /// What logs and metrics call whoever has the key.
    name: String,
    /// What it is for; may be repeated.
    #[arg(long = "scope", value_enum, default_value = "inference")]
    scopes: Vec<ScopeName>,
    /// When it ceases to open anything: a date or a time such as 2030-01-31T18:00:00Z. Default: never.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    expires: Option<Moment>,
    /// A model that it opens, by name or alias, with * for any characters; may be repeated. Default: all models.
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,
    /// Requests that it may make in a minute. Default: without bound.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers that it may have in a minute. Default: without bound.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    tokens_per_minute: Option<u32>,
    /// Whose turn comes first where requests wait, from -100 to 100: that of who has more.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(i64::from(*PRIORITIES.start())..=i64::from(*PRIORITIES.end())),
    )]
    priority: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeName {
    /// Using models.
    Inference,
    /// Looking into the server: its metrics and its slots.
    Admin,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let key = make()?;
    let entry = arguments.entry(Sha256::digest(&key).into());
    let name = entry.name.clone();
    match offline::reach(server).await? {
        Reached::Server(mut client) => {
            let key = Some(to_message(&entry, None));
            client.add(AddRequest { key }).await?;
        }
        Reached::File(keys, config) => keys.add(entry, &config).map_err(Failure::Refused)?,
    }
    // What is not the key goes elsewhere, so that a script can take the output as it is.
    let _ = writeln!(io::stderr(), "the key {name:?} is shown this once; keep it where it is safe:");
    print(&format!("{key}\n"))?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn entry(self, digest: [u8; 32]) -> KeyEntry {
        let mut scopes: Vec<Scope> = self.scopes.into_iter().map(Scope::from).collect();
        scopes.dedup();
        KeyEntry {
            scopes,
            expires: self.expires,
            models: self.models,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            priority: self.priority,
            ..KeyEntry::new(self.name, digest)
        }
    }
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Inference => Self::Inference,
            ScopeName::Admin => Self::Admin,
        }
    }
}

/// A key of 256 bits that the kernel has made up.
fn make() -> Result<String, Failure> {
    let mut bits = [0; 32];
    OsRng.try_fill_bytes(&mut bits).map_err(|error| Failure::Random(error.to_string()))?;
    Ok(bits.iter().fold(PREFIX.to_owned(), |mut key, byte| {
        write!(key, "{byte:02x}").expect("writing to a String cannot fail");
        key
    }))
}

fn parse_moment(text: &str) -> Result<Moment, String> {
    text.parse().map_err(|expected| format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn entry(line: &[&str]) -> KeyEntry {
        let words = ["add"].iter().chain(line);
        Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).arguments.entry([1; 32])
    }

    #[test]
    fn arguments_say_what_a_key_opens() {
        assert_eq!(entry(&["a"]), KeyEntry::new("a".into(), [1; 32]));
        let line =
            ["a", "--scope", "admin", "--scope", "inference", "--model", "qwen*", "--expires", "2030-01-31"];
        let line = [&line[..], &["--requests-per-minute", "5", "--tokens-per-minute", "7"]].concat();
        let line = [&line[..], &["--priority", "-7"]].concat();
        let expected = KeyEntry {
            scopes: vec![Scope::Admin, Scope::Inference],
            expires: Some("2030-01-31".parse().unwrap()),
            models: vec!["qwen*".into()],
            requests_per_minute: Some(5),
            tokens_per_minute: Some(7),
            priority: -7,
            ..KeyEntry::new("a".into(), [1; 32])
        };
        assert_eq!(entry(&line), expected);
        for wrong in [
            &["a", "--expires", "soon"][..],
            &["a", "--scope", "root"],
            &["a", "--tokens-per-minute", "0"],
            &["a", "--priority", "101"],
            &[],
        ] {
            assert!(Line::try_parse_from(["add"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn keys_are_long_and_differ() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 64);
    }
}
