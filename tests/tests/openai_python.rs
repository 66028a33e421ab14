//! The official Python client of OpenAI, which most programs that speak to a server like this one are made with.

use crate::harness::{Server, fetched, python};

#[tokio::test]
async fn the_official_client_lists_chats_streams_and_understands_errors() {
    if fetched("clients/openai").is_none() {
        return;
    }
    let server = Server::plain().await;
    let address = format!("http://{}/v1", server.listen);
    let output = python("clients", "tests/openai_client.py", &[address.as_ref()], &server.path("")).await;
    assert_eq!(
        (output.code, output.out.as_str()),
        (0, "lists\nchats\nstreams\nleaves\ncompletes\nerrs\n"),
        "{}",
        output.err
    );
}
