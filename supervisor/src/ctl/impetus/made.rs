//! Models that were made of others. The store does not know them: their gateway does.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use impetus_proto::Code;
use serde_json::{Value, json};

use super::{Failure, Server, api::Api, list, rm};
use crate::ctl::{
    http::plain,
    print,
    run::{Arguments, Beginning, RunError},
    store,
    table::Table,
};

/// Lists the models of the store, and behind them what was made of models. As JSON it is the store's alone.
pub(super) async fn list(server: &Server, arguments: &list::Arguments) -> Result<ExitCode, Failure> {
    let listed = list::run(server, arguments).await?;
    if !arguments.json {
        let tags = match Api::of(server, None).await {
            Ok(api) => api.get("/api/tags").await,
            Err(failure) => Err(failure),
        };
        match tags {
            Ok(tags) => print(&table(&tags))?,
            // The store's models are what was asked for in the first place.
            Err(failure) => {
                let _ = writeln!(io::stderr(), "impetus: what was made of others is not listed: {failure}");
            }
        }
    }
    Ok(listed)
}

/// What was made of others, with a line before it; empty where there is nothing.
fn table(tags: &Value) -> String {
    let mut table = Table::new(&["MADE", "OF"]);
    for tag in tags["models"].as_array().into_iter().flatten() {
        let (name, of) = (tag["name"].as_str(), tag["details"]["parent_model"].as_str());
        if let (Some(name), Some(of)) = (name, of.filter(|of| !of.is_empty())) {
            table.row([plain(name), plain(of)]);
        }
    }
    if table.is_empty() { String::new() } else { format!("\n{table}") }
}

/// Removes one after the other, from the store or from what was made over it; the first that cannot be removed is the
/// last that is tried.
pub(super) async fn remove(
    server: &Server,
    arguments: rm::Arguments,
    key_file: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let mut client = store::client(server).await?;
    for model in arguments.models {
        match rm::remove(&mut client, &model).await {
            Err(Failure::Refused(error)) if error.code() == Code::ModelNotFound => {
                let api = Api::of(server, key_file).await?;
                api.ask("DELETE", "/api/delete", &json!({"model": model})).await?;
                print(&format!("removed {model}\n"))?;
            }
            removed => {
                removed?;
                forget(server, &model, key_file).await;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What was made over a model that is gone goes too. There need not be anything.
async fn forget(server: &Server, model: &str, key_file: Option<&Path>) {
    if let Ok(api) = Api::of(server, key_file).await {
        let _ = api.ask("DELETE", "/api/delete", &json!({"model": model})).await;
    }
}

/// Begins a run of a model that was made of another one as it was made.
pub(super) async fn begin(server: &Server, arguments: &mut Arguments) -> Result<(), Failure> {
    let api = Api::of(server, arguments.key_file.as_deref()).await?;
    let shown = match api.ask("POST", "/api/show", &json!({"model": arguments.model})).await {
        // The run itself says best what is wrong.
        Err(Failure::Run(RunError::Refused { .. })) => return Ok(()),
        shown => shown?,
    };
    let Some(from) = made_of(&shown) else { return Ok(()) };
    let (beginning, passed_over) = Beginning::read(&shown);
    if !passed_over.is_empty() {
        let names = passed_over.join(", ");
        // Who does not read this does not want it.
        let _ = writeln!(io::stderr(), "impetus: of {}, a chat here has no {names}", arguments.model);
    }
    (arguments.model, arguments.beginning) = (from, beginning);
    Ok(())
}

/// The model that serves another one; none where that is no other one.
fn made_of(shown: &Value) -> Option<String> {
    shown["details"]["parent_model"].as_str().filter(|parent| !parent.is_empty())?;
    // A Modelfile of the server's begins so, with the model's own name.
    let first = shown["modelfile"].as_str()?.lines().next()?;
    first.strip_prefix("FROM ").map(|from| from.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_listed_with_what_of() {
        let tag = |name: &str, of: &str| json!({"name": name, "details": {"parent_model": of}});
        assert_eq!(table(&json!({"models": [tag("tiny:latest", "")]})), "");
        assert_eq!(table(&json!({})), "");
        let tags = json!({"models": [tag("tiny:latest", ""), tag("mario:latest", "tiny:latest")]});
        insta::assert_snapshot!(table(&tags), @r"

        MADE          OF
        mario:latest  tiny:latest
        ");
    }

    #[test]
    fn a_made_model_names_what_serves_it() {
        let check = |parent: &str, modelfile: &str, expected: Option<&str>| {
            let shown = json!({"details": {"parent_model": parent}, "modelfile": modelfile});
            assert_eq!(made_of(&shown).as_deref(), expected, "{shown}");
        };
        check("tiny:latest", "FROM tiny\nSYSTEM x\n", Some("tiny"));
        check("", "FROM tiny\n", None);
        check("tiny:latest", "", None);
        assert_eq!(made_of(&json!({})), None);
    }
}
