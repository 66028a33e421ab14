//! One request to the gateway. Dropping it closes the connection, which ends the answer under way.

use std::{env, fs, io::Read, path::Path, time::Duration};

use serde_json::Value;
use tokio::{io::BufReader, net::TcpStream, time::timeout};

use super::{
    error::RunError,
    event::{Event, Figures},
    screen::Screen,
};
use crate::ctl::{
    failure::Failure,
    http::{self, HttpError, error_message},
};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// Where a key may be, besides a file.
const KEY_VARIABLE: &str = "IMPETUS_API_KEY";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// What is read of a key file, of an error and of an answer, in bytes.
const KEY_BYTES: u64 = 4 << 10;
const ERROR_BYTES: usize = 16 << 10;
const ANSWER_BYTES: usize = 64 << 20;

/// Asks one gateway.
pub(in crate::ctl) struct Client {
    authority: String,
    key: Option<String>,
}

/// An answer, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) content: String,
    pub(super) reasoning: String,
    /// Why it ended: `stop`, `length`.
    pub(super) finish: Option<String>,
    pub(super) figures: Option<Figures>,
}

impl Client {
    /// Of the gateway at `authority`, with the key in `key_file` or in the environment, if there is any.
    pub(in crate::ctl) fn new(authority: String, key_file: Option<&Path>) -> Result<Self, RunError> {
        let key = match key_file {
            Some(path) => Some(read_key(path)?),
            None => env::var(KEY_VARIABLE).ok().map(|key| key.trim().to_owned()).filter(|key| is_key(key)),
        };
        Ok(Self { authority, key })
    }

    /// Streams the answer to `body` into `answer` and to the screen.
    pub(super) async fn ask(
        &self,
        body: &Value,
        answer: &mut Answer,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        let mut connection = self.post(CHAT, body).await?;
        let mut reply = accepted(&mut connection).await?;
        let mut line = Vec::new();
        while reply.line(&mut line).await.map_err(RunError::from)? {
            match Event::read(&line).map_err(RunError::Failed)? {
                Some(Event::Done) => return Ok(()),
                Some(Event::Delta(delta)) => {
                    screen.reasoning(&delta.reasoning)?;
                    screen.content(&delta.content)?;
                    answer.reasoning.push_str(&delta.reasoning);
                    answer.content.push_str(&delta.content);
                    answer.finish = delta.finish.or_else(|| answer.finish.take());
                    answer.figures = delta.figures.or(answer.figures);
                }
                None => {}
            }
            if answer.content.len() + answer.reasoning.len() > ANSWER_BYTES {
                return Err(RunError::Long(ANSWER_BYTES).into());
            }
        }
        Err(RunError::Short.into())
    }

    /// The whole answer to a request for a completion.
    pub(in crate::ctl) async fn complete(&self, body: &Value) -> Result<Value, Failure> {
        let mut connection = self.post(COMPLETIONS, body).await?;
        let mut reply = accepted(&mut connection).await?;
        let said = reply.rest(ANSWER_BYTES).await.map_err(RunError::from)?;
        Ok(serde_json::from_slice(&said)?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<BufReader<TcpStream>, RunError> {
        self.send("POST", path, body).await
    }

    /// A connection on which the answer to this request comes.
    pub(in crate::ctl) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<BufReader<TcpStream>, RunError> {
        let mut connection = self.connect().await?;
        let (key, body) = (self.key(), body.to_string());
        let sending = http::send(connection.get_mut(), method, [&self.authority, path], key, &body).await;
        sending.map_err(HttpError::from)?;
        Ok(connection)
    }

    /// The gateway's host and port.
    pub(in crate::ctl) fn authority(&self) -> &str {
        &self.authority
    }

    /// The key that requests come with.
    pub(in crate::ctl) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// A connection on which nothing has been asked yet.
    pub(in crate::ctl) async fn connect(&self) -> Result<BufReader<TcpStream>, RunError> {
        let unreachable = |source| RunError::Unreachable { authority: self.authority.clone(), source };
        let connecting = timeout(CONNECT, TcpStream::connect(&self.authority)).await;
        let stream = connecting.unwrap_or_else(|elapsed| Err(elapsed.into())).map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(BufReader::new(stream))
    }
}

/// The answer, unless it is a refusal.
pub(in crate::ctl) async fn accepted(
    connection: &mut BufReader<TcpStream>,
) -> Result<http::Answer<'_, BufReader<TcpStream>>, RunError> {
    let mut reply = http::Answer::read(connection).await?;
    if matches!(reply.status, 200 | 201) {
        return Ok(reply);
    }
    let said = reply.rest(ERROR_BYTES).await?;
    Err(RunError::Refused { status: reply.status, message: error_message(&said) })
}

fn read_key(path: &Path) -> Result<String, RunError> {
    let failed = |source| RunError::Key { path: path.to_owned(), source };
    let mut text = String::new();
    fs::File::open(path).and_then(|file| file.take(KEY_BYTES).read_to_string(&mut text)).map_err(failed)?;
    let key = text.trim();
    if !is_key(key) {
        return Err(RunError::NoKey(path.to_owned()));
    }
    Ok(key.to_owned())
}

/// Whether it can be in a header.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_holds_nothing_but_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let check = |text: &str, expected: Option<&str>| {
            fs::write(&path, text).unwrap();
            assert_eq!(read_key(&path).ok().as_deref(), expected, "{text:?}");
        };
        check("sk-1\n", Some("sk-1"));
        check("  sk-1", Some("sk-1"));
        check("", None);
        check("sk-1\r\nx: y", None);
        let error = read_key(&dir.path().join("none")).unwrap_err();
        assert!(matches!(error, RunError::Key { .. }), "{error}");
    }
}
