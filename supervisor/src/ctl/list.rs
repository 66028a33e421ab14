//! `supervisorctl list`

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use impetus_proto::store::{ListReply, ListRequest};
use serde_json::json;

use super::{
    Server,
    failure::Failure,
    print, store,
    table::{Table, amount, dash, duration},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reply = store::client(server).await?.list(ListRequest {}).await?.into_inner();
    if arguments.json {
        let models: Vec<_> = reply.models.iter().map(store::as_json).collect();
        let all = json!({
            "models": models,
            "folder": reply.folder,
            "disk_bytes": reply.disk_bytes,
            "free_bytes": reply.free_bytes,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        print(&text(&reply, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `now` since 1970.
fn text(reply: &ListReply, now: Duration) -> String {
    let folder = &reply.folder;
    if reply.models.is_empty() {
        return format!("the store in {folder} is empty; `supervisorctl pull` fetches models into it\n");
    }
    let mut table = Table::new(&["MODEL", "FORMAT", "QUANTIZATION", "SIZE", "FROM", "CAME", "STATE"]);
    for model in &reply.models {
        let state = match (model.broken.as_str(), model.loaded) {
            ("", true) => "loaded".to_owned(),
            ("", false) => "available".to_owned(),
            (broken, _) => format!("broken: {broken}"),
        };
        let from = if model.source.is_empty() { &model.origin } else { &model.source };
        let age = now.saturating_sub(Duration::from_secs(model.added_unix_s));
        table.row([
            model.name.clone(),
            model.format.clone(),
            dash(&model.quantization),
            amount(model.bytes),
            from.clone(),
            format!("{} ago", duration(age)),
            state,
        ]);
    }
    format!("{table}\n{} in {folder}, {} free\n", amount(reply.disk_bytes), amount(reply.free_bytes))
}

#[cfg(test)]
mod tests {
    use impetus_proto::store::Stored;

    use super::*;

    #[test]
    fn models_of_the_store_are_listed() {
        let model = Stored {
            name: "m-Q4_K_M".into(),
            origin: "pulled".into(),
            source: "hf:o/m".into(),
            format: "gguf".into(),
            quantization: "Q4_K_M".into(),
            bytes: 5 << 30,
            added_unix_s: 1_000,
            loaded: true,
            ..Stored::default()
        };
        let broken = Stored {
            name: "sent".into(),
            origin: "uploaded".into(),
            source: String::new(),
            format: "candle".into(),
            quantization: String::new(),
            broken: "config.json: its content is another".into(),
            ..model.clone()
        };
        let reply = ListReply {
            models: vec![model, broken],
            folder: "/s/models".into(),
            disk_bytes: 10 << 30,
            free_bytes: 7 << 30,
        };
        insta::assert_snapshot!(text(&reply, Duration::from_secs(8_300)), @r"
        MODEL     FORMAT  QUANTIZATION  SIZE     FROM      CAME           STATE
        m-Q4_K_M  gguf    Q4_K_M        5.0 GiB  hf:o/m    2 h 1 min ago  loaded
        sent      candle  -             5.0 GiB  uploaded  2 h 1 min ago  broken: config.json: its content is another

        10.0 GiB in /s/models, 7.0 GiB free
        ");
        assert!(text(&ListReply::default(), Duration::ZERO).contains("is empty"));
    }
}
