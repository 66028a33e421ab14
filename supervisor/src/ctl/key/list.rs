//! `supervisorctl key list`

use std::{process::ExitCode, time::Duration};

use clap::Args;
use impetus_config::Moment;
use impetus_proto::key::{Key, ListRequest};
use serde_json::{Value, json};

use super::{
    super::{
        Server,
        failure::Failure,
        print,
        table::{Table, dash, duration},
    },
    offline::{self, Reached},
};

#[derive(Debug, Args)]
pub(in crate::ctl) struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let keys = match offline::reach(server).await? {
        Reached::Server(mut client) => client.list(ListRequest {}).await?.into_inner(),
        Reached::File(keys, config) => keys.list(&config),
    };
    let text = if arguments.json {
        let keys: Vec<_> = keys.keys.iter().map(as_json).collect();
        format!("{}\n", serde_json::to_string_pretty(&json!({"keys": keys}))?)
    } else if keys.keys.is_empty() {
        "there are no keys\n".into()
    } else {
        table(&keys.keys, Moment::now())
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(keys: &[Key], now: Moment) -> String {
    let mut table = Table::new(&[
        "NAME",
        "SCOPES",
        "MODELS",
        "REQUESTS/MIN",
        "TOKENS/MIN",
        "PRIORITY",
        "EXPIRES",
        "LAST USED",
        "FROM",
    ]);
    for key in keys {
        let bound = |n: u32| if n == 0 { String::new() } else { n.to_string() };
        let last_used = match key.last_used_unix_s {
            0 => String::new(),
            at => format!("{} ago", duration(Duration::from_secs(now.0.saturating_sub(at)))),
        };
        let expires = match key.expires_unix_s {
            0 => String::new(),
            end if end <= now.0 => format!("{}, over", Moment(end)),
            end => Moment(end).to_string(),
        };
        table.row([
            key.name.clone(),
            key.scopes.join(","),
            if key.models.is_empty() { "all".into() } else { key.models.join(",") },
            dash(&bound(key.requests_per_minute)),
            dash(&bound(key.tokens_per_minute)),
            key.priority.to_string(),
            dash(&expires),
            dash(&last_used),
            if key.declared { "configuration".into() } else { Moment(key.created_unix_s).to_string() },
        ]);
    }
    table.to_string()
}

fn as_json(key: &Key) -> Value {
    let moment = |seconds: u64| (seconds > 0).then(|| Moment(seconds).to_string());
    let bound = |n: u32| (n > 0).then_some(n);
    json!({
        "name": key.name,
        "scopes": key.scopes,
        "models": key.models,
        "requests_per_minute": bound(key.requests_per_minute),
        "tokens_per_minute": bound(key.tokens_per_minute),
        "priority": key.priority,
        "expires": moment(key.expires_unix_s),
        "created": moment(key.created_unix_s),
        "last_used": moment(key.last_used_unix_s),
        "declared": key.declared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_by_name() {
        let plain = Key {
            name: "a".into(),
            scopes: vec!["inference".into()],
            created_unix_s: 86_400,
            ..Key::default()
        };
        let limited = Key {
            name: "ci".into(),
            scopes: vec!["inference".into(), "admin".into()],
            models: vec!["qwen*".into()],
            requests_per_minute: 5,
            priority: -7,
            expires_unix_s: 951_782_400,
            last_used_unix_s: 951_782_399,
            declared: true,
            ..Key::default()
        };
        let text = table(&[plain, limited.clone()], Moment(951_782_460));
        assert_eq!(
            text,
            "NAME  SCOPES           MODELS  REQUESTS/MIN  TOKENS/MIN  PRIORITY  EXPIRES           LAST USED      FROM\n\
             a     inference        all     -             -           0         -                 -              1970-01-02\n\
             ci    inference,admin  qwen*   5             -           -7        2000-02-29, over  1 min 1 s ago  configuration\n"
        );
        assert_eq!(
            as_json(&limited).to_string(),
            r#"{"name":"ci","scopes":["inference","admin"],"models":["qwen*"],"requests_per_minute":5,"tokens_per_minute":null,"priority":-7,"expires":"2000-02-29","created":null,"last_used":"2000-02-28T23:59:59Z","declared":true}"#
        );
    }
}
