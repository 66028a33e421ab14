//! `supervisorctl models`

use std::process::ExitCode;

use impetus_proto::supervisor::{ModelStatus, ModelsRequest};
use serde_json::{Value, json};

use super::{
    Server,
    connect::connect,
    failure::Failure,
    print,
    table::{Table, count, dash, size},
};

/// What there is to see when there is nothing.
const NONE: &str = "no models; put some into a folder of models.dirs\n";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.models(ModelsRequest {}).await?.into_inner();
    if arguments.json {
        let models: Vec<Value> = reply.models.iter().map(details).collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&json!({ "models": models }))?))?;
    } else {
        print(&table(&reply.models))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(models: &[ModelStatus]) -> String {
    if models.is_empty() {
        return NONE.into();
    }
    let mut table = Table::new(&[
        "MODEL",
        "ALIASES",
        "FORMAT",
        "STATE",
        "SIZE",
        "PARAMETERS",
        "QUANTIZATION",
        "CONTEXT",
        "DETAIL",
    ]);
    for model in models {
        let mark = if model.is_default { " (default)" } else { "" };
        table.row([
            format!("{}{mark}", model.name),
            dash(&model.aliases.join(", ")),
            dash(&model.format),
            model.state.clone(),
            size(model.size_bytes),
            count(model.parameters),
            dash(&model.quantization),
            count(u64::from(model.context_tokens)),
            model.detail.clone(),
        ]);
    }
    table.to_string()
}

fn details(model: &ModelStatus) -> Value {
    json!({
        "name": model.name,
        "format": model.format,
        "state": model.state,
        "detail": model.detail,
        "path": model.path,
        "size_bytes": model.size_bytes,
        "aliases": model.aliases,
        "architecture": model.architecture,
        "quantization": model.quantization,
        "parameters": model.parameters,
        "context_tokens": model.context_tokens,
        "trained_context_tokens": model.trained_context_tokens,
        "chat_template": model.chat_template,
        "default": model.is_default,
        "description": model.description,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed() {
        let tiny = ModelStatus {
            name: "impetus-tiny".into(),
            format: "gguf".into(),
            state: "ready".into(),
            size_bytes: 10_600_000,
            parameters: 2_600_000,
            quantization: "F32".into(),
            context_tokens: 1024,
            aliases: vec!["gpt-4o".into(), "main".into()],
            is_default: true,
            ..ModelStatus::default()
        };
        let torn = ModelStatus {
            name: "torn".into(),
            state: "broken".into(),
            size_bytes: 12,
            detail: "the header ends early".into(),
            ..ModelStatus::default()
        };
        insta::assert_snapshot!(table(&[tiny, torn]), @r"
        MODEL                   ALIASES       FORMAT  STATE   SIZE      PARAMETERS  QUANTIZATION  CONTEXT  DETAIL
        impetus-tiny (default)  gpt-4o, main  gguf    ready   10.1 MiB  2.6 M       F32           1024
        torn                    -             -       broken  12 B      -           -             -        the header ends early
        ");
        assert_eq!(table(&[]), NONE);
    }
}
