//! The gateway's API, as far as models are made by it.

use std::{fs::File, io::Read, path::Path};

use impetus_proto::supervisor::StatusRequest;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};

use super::{Failure, Server};
use crate::ctl::{
    connect::connect,
    entrance,
    http::{self, Answer, HttpError, plain},
    run::{Client, RunError, accepted},
};

/// What is read of an answer that comes whole, in bytes.
const ANSWER_BYTES: usize = 4 << 20;

/// What is read of a file at once, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// The way to one gateway.
pub(super) struct Api(Client);

impl Api {
    /// The gateway of this server, with the key in `key_file` or in the environment, if there is any.
    pub(super) async fn of(server: &Server, key_file: Option<&Path>) -> Result<Self, Failure> {
        let status = connect(server).await?.status(StatusRequest {}).await?.into_inner();
        let authority = entrance::authority(status.gateway.as_ref())?;
        Ok(Self(Client::new(authority, key_file)?))
    }

    /// The whole answer to a request; null where it is empty.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut connection = self.0.send(method, path, body).await?;
        let mut answer = accepted(&mut connection).await?;
        let said = answer.rest(ANSWER_BYTES).await.map_err(RunError::from)?;
        if said.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&said)?) }
    }

    /// What is at a path.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let mut connection = self.0.connect().await?;
        let sent = http::get(connection.get_mut(), [self.0.authority(), path], self.0.key()).await;
        sent.map_err(|error| RunError::from(HttpError::from(error)))?;
        let mut answer = accepted(&mut connection).await?;
        Ok(serde_json::from_slice(&answer.rest(ANSWER_BYTES).await.map_err(RunError::from)?)?)
    }

    /// Has something done, and tells each line that the server says of it.
    pub(super) async fn follow(
        &self,
        path: &str,
        body: &Value,
        mut tell: impl FnMut(&Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut connection = self.0.send("POST", path, body).await?;
        let mut answer = accepted(&mut connection).await?;
        let mut line = Vec::new();
        while answer.line(&mut line).await.map_err(RunError::from)? {
            let said: Value = serde_json::from_slice(&line)?;
            if let Some(error) = said["error"].as_str() {
                return Err(RunError::Failed(plain(error)).into());
            }
            if said["status"] == "success" {
                return Ok(());
            }
            tell(&said)?;
        }
        Err(RunError::Short.into())
    }

    /// Whether something is at a path.
    pub(super) async fn has(&self, path: &str) -> Result<bool, Failure> {
        let mut connection = self.0.connect().await?;
        let sent = http::head(connection.get_mut(), [self.0.authority(), path], self.0.key()).await;
        sent.map_err(|error| RunError::from(HttpError::from(error)))?;
        let answer = Answer::read(&mut connection).await.map_err(RunError::from)?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            status => Err(RunError::Refused { status, message: "it does not say why".to_owned() }.into()),
        }
    }

    /// Sends a file of so many bytes, and tells how many have gone.
    pub(super) async fn send_file(
        &self,
        path: &str,
        mut file: File,
        n_bytes: u64,
        mut tell: impl FnMut(u64),
    ) -> Result<(), Failure> {
        let mut connection = self.0.connect().await?;
        let place = [self.0.authority(), path];
        let broken = |error| RunError::from(HttpError::from(error));
        http::begin(connection.get_mut(), place, self.0.key(), n_bytes).await.map_err(broken)?;
        let (mut piece, mut sent) = (vec![0; PIECE_BYTES], 0);
        let mut end = Ok(());
        loop {
            let n_read = file.read(&mut piece)?;
            if n_read == 0 || end.is_err() {
                break;
            }
            end = connection.get_mut().write_all(&piece[..n_read]).await;
            sent += n_read as u64;
            tell(sent);
        }
        // A server that refuses may say so before it has heard everything.
        match (answered(&mut connection).await, end) {
            (Err(RunError::Http(_)), Err(error)) => Err(broken(error).into()),
            (answered, _) => Ok(answered?),
        }
    }
}

/// The end of a request whose answer says nothing but that it was done.
async fn answered(connection: &mut BufReader<tokio::net::TcpStream>) -> Result<(), RunError> {
    accepted(connection).await.map(drop)
}
