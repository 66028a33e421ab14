//! The official Python client of OpenAI, which most programs that speak to a server like this one are made with.

use std::{env, path::Path};

use crate::harness::{Output, Server, command};

/// Set by a person who has no way to the client.
const SKIP: &str = "IMPETUS_SKIP_CLIENTS";

#[tokio::test]
async fn the_official_client_lists_chats_streams_and_understands_errors() {
    if env::var(SKIP).as_deref() == Ok("1") {
        eprintln!("nothing was tested: {SKIP} is set");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the repository");
    let clients = root.join(".tools/clients");
    let help = format!("run `tools/setup clients`, or set {SKIP}=1 to go without this test");
    assert!(clients.join("openai").is_dir(), "{} has no openai client: {help}", clients.display());

    let server = Server::plain().await;
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = command(Path::new(&python), &server.path(""));
    command.env("PYTHONPATH", clients).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root.join("tests/openai_client.py")).arg(format!("http://{}/v1", server.listen));
    let run = move || command.output().expect("Python can be started");
    let output: Output = tokio::task::spawn_blocking(run).await.unwrap().into();
    assert_eq!(
        (output.code, output.out.as_str()),
        (0, "lists\nchats\nstreams\nleaves\ncompletes\nerrs\n"),
        "{}",
        output.err
    );
}
