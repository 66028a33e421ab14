//! `supervisorctl cache list`

use std::{process::ExitCode, time::Duration};

use clap::Args;
use impetus_config::Moment;
use impetus_proto::cache::{File, ListRequest};
use serde_json::{Value, json};

use super::{
    super::{
        Server,
        failure::Failure,
        print,
        table::{Table, amount, dash, duration},
    },
    as_json, client,
};

#[derive(Debug, Args)]
pub(in crate::ctl) struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let files = client(server).await?.list(ListRequest {}).await?.into_inner().files;
    let text = if arguments.json {
        let files: Vec<Value> = files.iter().map(as_json).collect();
        format!("{}\n", serde_json::to_string_pretty(&json!({ "files": files }))?)
    } else {
        table(&files, Moment::now())
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(files: &[File], now: Moment) -> String {
    if files.is_empty() {
        return "no prefixes are kept in files\n".into();
    }
    let mut table = Table::new(&["MODEL", "SIZE", "LAST USED", "IN USE", "FILE"]);
    for file in files {
        let ago = Duration::from_secs(now.0.saturating_sub(file.used_unix_s));
        table.row([
            dash(&file.model),
            amount(file.bytes),
            format!("{} ago", duration(ago)),
            if file.in_use { "yes" } else { "no" }.into(),
            file.path.clone(),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    #[test]
    fn files_are_shown_by_model() {
        let files = [file("a", 12, true), file("", 0, false)];
        assert_eq!(
            table(&files, Moment(1_075)),
            "MODEL  SIZE      LAST USED       IN USE  FILE\n\
             a      12.0 MiB  1 min 15 s ago  yes     /state/prefixes/a0f.kv\n\
             -      0 B       1 min 15 s ago  no      /state/prefixes/0f.kv\n"
        );
        assert_eq!(table(&[], Moment(0)), "no prefixes are kept in files\n");
        assert_eq!(
            as_json(&files[0]).to_string(),
            r#"{"model":"a","path":"/state/prefixes/a0f.kv","bytes":12582912,"used_unix_s":1000,"in_use":true}"#
        );
    }
}
