//! As much of HTTP/1.1 as asking a server takes (RFC 9112): requests with a body of known length, and answers whose
//! bodies are read line by line as they arrive.

mod request;
mod words;

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

pub(super) use self::{
    request::{begin, get, head, post, send},
    words::{error_message, plain},
};

/// What is read of an answer's head, in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// What is read of one line of a body, in bytes.
const LINE_BYTES: usize = 16 << 20;

/// What is read of the line that says how long a chunk is, in bytes.
const CHUNK_LINE_BYTES: usize = 1 << 10;

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed before the answer began")]
    Closed,
    #[error("the answer ended early")]
    Short,
    #[error("what came is not HTTP/1.1: {0:?}")]
    Malformed(String),
    #[error("a line of the answer is longer than {0} bytes")]
    Long(usize),
}

/// An answer whose head has been read.
#[derive(Debug)]
pub(super) struct Answer<'a, R> {
    pub(super) status: u16,
    /// Whether the connection can be used again once the body has been read to its end.
    is_persistent: bool,
    body: Body,
    reader: &'a mut R,
    /// What has arrived of the body and was not asked for yet, from `begin` on.
    pending: Vec<u8>,
    begin: usize,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// So many bytes are still to come.
    Length(u64),
    /// Of the present chunk so many bytes are still to come; none before the first.
    Chunk(Option<u64>),
    /// Everything until the connection closes.
    UntilClosed,
    Ended,
}

impl<'a, R: AsyncBufRead + Unpin> Answer<'a, R> {
    /// Reads the head of the answer that comes next.
    pub(super) async fn read(reader: &'a mut R) -> Result<Self, HttpError> {
        loop {
            let answer = Self::head(reader).await?;
            // An interim answer: the final one follows (RFC 9110, 15.2).
            if !(100..200).contains(&answer.0) {
                let (status, is_persistent, body) = answer;
                return Ok(Self { status, is_persistent, body, reader, pending: Vec::new(), begin: 0 });
            }
        }
    }

    async fn head(reader: &mut R) -> Result<(u16, bool, Body), HttpError> {
        let mut line = Vec::new();
        if !read_line(reader, &mut line, HEAD_BYTES).await? {
            return Err(HttpError::Closed);
        }
        let malformed = |line: &[u8]| {
            HttpError::Malformed(String::from_utf8_lossy(line).chars().take(100).collect::<String>())
        };
        let text = std::str::from_utf8(&line).map_err(|_| malformed(&line))?;
        let (version, rest) = text.trim_end().split_once(' ').ok_or_else(|| malformed(&line))?;
        let status = rest.get(..3).and_then(|status| status.parse().ok());
        let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
            return Err(malformed(&line));
        };
        let mut is_persistent = version != "HTTP/1.0";
        let (mut length, mut is_chunked) = (None, false);
        let mut left = HEAD_BYTES;
        loop {
            line.clear();
            if !read_line(reader, &mut line, left).await? {
                return Err(HttpError::Short);
            }
            left -= line.len();
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if text.is_empty() {
                break;
            }
            let Some((name, value)) = text.split_once(':') else { return Err(malformed(&line)) };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(value.parse().map_err(|_| malformed(&line))?),
                "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" if value.eq_ignore_ascii_case("close") => is_persistent = false,
                _ => {}
            }
        }
        let body = match length {
            _ if matches!(status, 100..200 | 204 | 304) => Body::Ended,
            _ if is_chunked => Body::Chunk(None),
            Some(0) => Body::Ended,
            Some(length) => Body::Length(length),
            None => Body::UntilClosed,
        };
        Ok((status, is_persistent && body != Body::UntilClosed, body))
    }

    /// Puts the next line of the body into `line`, without its end; false when there is none.
    pub(super) async fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, HttpError> {
        line.clear();
        let mut searched = self.begin;
        loop {
            if let Some(at) = self.pending[searched..].iter().position(|&byte| byte == b'\n') {
                let end = searched + at;
                line.extend_from_slice(self.pending[self.begin..end].trim_ascii_end());
                self.begin = end + 1;
                return Ok(true);
            }
            if self.pending.len() - self.begin > LINE_BYTES {
                return Err(HttpError::Long(LINE_BYTES));
            }
            self.pending.drain(..self.begin);
            self.begin = 0;
            searched = self.pending.len();
            if !self.more().await? {
                line.append(&mut self.pending);
                return Ok(!line.is_empty());
            }
        }
    }

    /// What is left of the body, of which no more than `limit` bytes are kept.
    pub(super) async fn rest(&mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut bytes = self.pending.split_off(self.begin);
        loop {
            bytes.truncate(limit);
            self.pending.clear();
            self.begin = 0;
            if !self.more().await? {
                return Ok(bytes);
            }
            bytes.append(&mut self.pending);
        }
    }

    /// Whether the next answer can come on the same connection.
    pub(super) fn is_reusable(&self) -> bool {
        self.is_persistent && self.body == Body::Ended && self.begin == self.pending.len()
    }

    /// Takes in what has arrived, at least a byte; false at the body's end.
    async fn more(&mut self) -> Result<bool, HttpError> {
        if let Body::Chunk(None | Some(0)) = self.body {
            self.next_chunk().await?;
        }
        let left = match self.body {
            Body::Ended => return Ok(false),
            Body::Length(left) | Body::Chunk(Some(left)) => left,
            Body::Chunk(None) | Body::UntilClosed => u64::MAX,
        };
        let arrived = self.reader.fill_buf().await?;
        if arrived.is_empty() {
            let is_whole = self.body == Body::UntilClosed;
            self.body = Body::Ended;
            return if is_whole { Ok(false) } else { Err(HttpError::Short) };
        }
        let n_bytes = arrived.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.pending.extend_from_slice(&arrived[..n_bytes]);
        self.reader.consume(n_bytes);
        let left = left - n_bytes as u64;
        self.body = match self.body {
            Body::Length(_) if left == 0 => Body::Ended,
            Body::Length(_) => Body::Length(left),
            Body::Chunk(_) => Body::Chunk(Some(left)),
            body => body,
        };
        Ok(true)
    }

    /// Reads up to the next chunk's first byte, or through the trailers behind the last one.
    async fn next_chunk(&mut self) -> Result<(), HttpError> {
        let mut line = Vec::new();
        let mut read = async |line: &mut Vec<u8>| {
            line.clear();
            if read_line(self.reader, line, CHUNK_LINE_BYTES).await? { Ok(()) } else { Err(HttpError::Short) }
        };
        if self.body == Body::Chunk(Some(0)) {
            // The end of the line behind the chunk before.
            read(&mut line).await?;
        }
        read(&mut line).await?;
        let text = String::from_utf8_lossy(&line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| HttpError::Malformed(size.to_owned()))?;
        if size > 0 {
            self.body = Body::Chunk(Some(size));
            return Ok(());
        }
        while !line.trim_ascii().is_empty() {
            read(&mut line).await?;
        }
        self.body = Body::Ended;
        Ok(())
    }
}

/// Appends the next line, its end included; false when nothing is left.
async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    line: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, HttpError> {
    let n_bytes = reader.take(limit as u64).read_until(b'\n', line).await?;
    match line.last() {
        Some(b'\n') => Ok(true),
        _ if n_bytes == limit => Err(HttpError::Long(limit)),
        Some(_) => Err(HttpError::Short),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests;
