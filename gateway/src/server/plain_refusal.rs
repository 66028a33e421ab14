//! What hyper itself says of a request that it cannot read has no body; here it gets one.
//!
//! Hyper answers such a request before any of our code sees it, with a head alone, and closes the connection. Every
//! answer of ours carries its request's id, so that a head without one, of a status that hyper uses for this, is its
//! own.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::request_id;
use crate::{dialect, error::Failure};

/// Puts a body to the answers that are hyper's own.
#[derive(Debug)]
pub(super) struct PlainRefusal<S> {
    stream: S,
    /// Of an answer in place of hyper's, what is not written yet.
    pending: Bytes,
    max_head_bytes: usize,
}

impl<S> PlainRefusal<S> {
    /// `max_head_bytes` is what hyper reads of a request's head.
    pub(super) fn new(stream: S, max_head_bytes: usize) -> Self {
        Self { stream, pending: Bytes::new(), max_head_bytes }
    }

    /// The answer in place of what hyper is about to write, if that is its own.
    fn instead_of(&self, written: &[u8]) -> Option<Bytes> {
        let head = std::str::from_utf8(written.strip_suffix(b"\r\n\r\n")?).ok()?;
        let (line, fields) = head.split_once("\r\n")?;
        let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
        let failure = match status.split(' ').next()? {
            "400" => Failure::malformed_request(),
            "414" | "431" => Failure::headers_too_large(self.max_head_bytes),
            _ => return None,
        };
        let names =
            |name: &str| fields.split("\r\n").any(|field| field.to_ascii_lowercase().starts_with(name));
        if names(request_id::HEADER.as_str()) || !names("content-length: 0") {
            return None;
        }
        Some(dialect::written(&failure))
    }
}

impl<S: AsyncWrite + Unpin> PlainRefusal<S> {
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.pending))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PlainRefusal<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PlainRefusal<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        let Some(answer) = self.instead_of(buf) else {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        };
        self.pending = answer;
        // What is left of it goes out with the flush that follows.
        match self.poll_pending(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(buf.len())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return self.poll_write(cx, only);
        }
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What arrives of what is written in these pieces.
    async fn arrives(pieces: &[&str]) -> String {
        let (near, mut far) = duplex(32);
        let reader = tokio::spawn(async move {
            let mut arrived = String::new();
            far.read_to_string(&mut arrived).await.unwrap();
            arrived
        });
        let mut stream = PlainRefusal::new(near, 1000);
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        drop(stream);
        reader.await.unwrap()
    }

    #[tokio::test]
    async fn hypers_own_answers_get_a_body() {
        for (status, code) in [("400 Bad Request", "malformed_request"), ("431 X", "headers_too_large")] {
            let head =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n");
            let arrived = arrives(&[&head]).await;
            let (head, body) = arrived.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {}", &status[..3])), "{arrived}");
            assert!(head.contains(&format!("content-length: {}", body.len())), "{arrived}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], code);
        }
    }

    #[tokio::test]
    async fn ours_are_left_as_they_are() {
        for pieces in [
            &["HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n"][..],
            &["HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\n", "hello"],
            &["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
            &["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
            &["data: 1\n\n", "", "\r\n\r\n"],
        ] {
            assert_eq!(arrives(pieces).await, pieces.concat());
        }
    }
}
