//! Requests as they are sent.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Sends a request with the JSON `body`.
pub(in crate::ctl) async fn post<W: AsyncWrite + Unpin>(
    writer: &mut W,
    place: [&str; 2],
    key: Option<&str>,
    body: &str,
) -> io::Result<()> {
    send(writer, "POST", place, key, body).await
}

/// Sends a request of this method with the JSON `body`.
pub(in crate::ctl) async fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    method: &str,
    [host, path]: [&str; 2],
    key: Option<&str>,
    body: &str,
) -> io::Result<()> {
    let authorization = authorization(key);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: */*\r\n{authorization}\
         content-length: {}\r\n\r\n",
        body.len()
    );
    // In one piece, which one segment may hold.
    writer.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await?;
    writer.flush().await
}

/// Sends the head of a request whose body, of so many bytes, comes behind it.
pub(in crate::ctl) async fn begin<W: AsyncWrite + Unpin>(
    writer: &mut W,
    [host, path]: [&str; 2],
    key: Option<&str>,
    n_bytes: u64,
) -> io::Result<()> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/octet-stream\r\naccept: */*\r\n{}\
         content-length: {n_bytes}\r\n\r\n",
        authorization(key)
    );
    writer.write_all(head.as_bytes()).await
}

/// Asks for what is at a path.
pub(in crate::ctl) async fn get<W: AsyncWrite + Unpin>(
    writer: &mut W,
    place: [&str; 2],
    key: Option<&str>,
) -> io::Result<()> {
    ask(writer, "GET", place, key).await
}

/// Asks whether something is there. The answer's body does not come.
pub(in crate::ctl) async fn head<W: AsyncWrite + Unpin>(
    writer: &mut W,
    place: [&str; 2],
    key: Option<&str>,
) -> io::Result<()> {
    ask(writer, "HEAD", place, key).await
}

async fn ask<W: AsyncWrite + Unpin>(
    writer: &mut W,
    method: &str,
    [host, path]: [&str; 2],
    key: Option<&str>,
) -> io::Result<()> {
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n{}\r\n", authorization(key));
    writer.write_all(head.as_bytes()).await?;
    writer.flush().await
}

fn authorization(key: Option<&str>) -> String {
    key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default()
}
