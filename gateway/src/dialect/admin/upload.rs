//! `POST /admin/models`: a model that somebody sends, as one file or as the files of a form. They are written to the disk
//! as they come; whether they are a model the supervisor says.

use std::{
    collections::HashMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    Json, RequestExt,
    body::Body,
    extract::{Multipart, Request, State},
    http::header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use impetus_proto::{
    Code, Error,
    store::{BeginUploadReply, BeginUploadRequest, FinishUploadRequest},
};
use serde::Deserialize;
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
    time::timeout,
};

use super::{StoredModel, ask::Asked};
use crate::{
    dialect::Refusal,
    server::{Gateway, Limits},
};

/// Folders within folders that a file may lie in.
const MAX_DEPTH: usize = 4;
/// The longest name of a file or folder, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// The most files of one model.
const MAX_FILES: usize = 1000;

/// What the address says of a model that comes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// The model's name.
    name: String,
    /// The file's, where one comes as it is.
    #[serde(default)]
    file: Option<String>,
    /// What its content has to be.
    #[serde(default)]
    sha256: Option<String>,
}

/// Where what comes is written.
struct Inbox {
    folder: PathBuf,
    /// That may come still.
    room_bytes: u64,
    limits: Limits,
}

/// Takes a model in.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Asked(named): Asked<Named>,
    request: Request<Body>,
) -> Result<Json<StoredModel>, Refusal> {
    if let Err(error) = named.file.as_deref().map_or(Ok(()), |file| path_of(file).map(drop)) {
        return Err(refuse(request, error, gateway.limits).await);
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let begin = BeginUploadRequest { name: named.name.clone(), bytes: announced.unwrap_or_default() };
    let mut store = gateway.upstream.store().await?;
    let BeginUploadReply { id, folder, room_bytes } = match store.begin_upload(begin).await {
        Ok(begun) => begun.into_inner(),
        Err(status) => return Err(refuse(request, status.into(), gateway.limits).await),
    };
    // It goes on when the client does not wait: then its body breaks off, and what has come is given up.
    let taking = tokio::spawn(async move {
        let mut inbox = Inbox { folder: folder.into(), room_bytes, limits: gateway.limits };
        let taken = take(&mut inbox, named, request).await;
        let (discard, sha256) = match &taken {
            Ok(digests) => (false, digests.clone()),
            Err(_) => (true, HashMap::new()),
        };
        // Another supervisor may be there by now.
        let mut store = gateway.upstream.store().await?;
        let finished = store.finish_upload(FinishUploadRequest { id, discard, sha256 }).await;
        taken?;
        let model = finished.map_err(Error::from)?.into_inner().model;
        model.ok_or_else(|| Error::internal("the supervisor did not say what has become of it"))
    });
    let model = taking.await.unwrap_or_else(|error| Err(Error::internal(error.to_string())))?;
    Ok(Json((&model).into()))
}

/// Reads on for a while before a request is refused: many clients do not look for an answer before they have sent
/// everything.
async fn refuse(request: Request<Body>, error: Error, limits: Limits) -> Refusal {
    let mut left = limits.max_body_bytes;
    let mut body = request.into_body().into_data_stream();
    while let Ok(Some(Ok(piece))) = next(&mut body, limits.body_timeout).await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    error.into()
}

/// Writes what comes, and answers the digests that were told of it.
async fn take(
    inbox: &mut Inbox,
    named: Named,
    request: Request<Body>,
) -> Result<HashMap<String, String>, Error> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        if named.file.is_some() || named.sha256.is_some() {
            return Err(Error::invalid("file", "a form names its files itself; leave out file and sha256"));
        }
        let form: Multipart = request
            .extract()
            .await
            .map_err(|error| Error::invalid("", format!("the form cannot be read: {error}")))?;
        take_form(inbox, form).await?;
        return Ok(HashMap::new());
    }
    let file = named.file.unwrap_or_else(|| format!("{}.gguf", named.name));
    let path = path_of(&file)?;
    let stream = request.into_body().into_data_stream().map(|piece| piece.map_err(|error| error.to_string()));
    inbox.write(&path, stream).await?;
    Ok(named.sha256.map(|sha256| (file, sha256)).into_iter().collect())
}

async fn take_form(inbox: &mut Inbox, mut form: Multipart) -> Result<(), Error> {
    let broken = |error: axum::extract::multipart::MultipartError| broken(&error.to_string());
    let mut n_files = 0;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        n_files += 1;
        if n_files > MAX_FILES {
            return Err(Error::invalid("", format!("a model has at most {MAX_FILES} files")));
        }
        let name = field.file_name().or(field.name()).unwrap_or_default().to_owned();
        let path = path_of(&name)?;
        let stream = field.map(|piece| piece.map_err(|error| error.to_string()));
        inbox.write(&path, stream).await?;
    }
    if n_files == 0 { Err(Error::invalid("", "the form has no files")) } else { Ok(()) }
}

/// A file's place within the model's folder: relative, plain, and nowhere else.
pub(in crate::dialect) fn path_of(name: &str) -> Result<PathBuf, Error> {
    let is_plain = |step: &str| {
        let is_odd = |c: char| c.is_control() || c == '\\';
        !step.is_empty() && step.len() <= MAX_NAME_BYTES && !step.starts_with('.') && !step.contains(is_odd)
    };
    if name.split('/').count() > MAX_DEPTH || !name.split('/').all(is_plain) {
        let message = format!("{name:?} cannot be the name of a model's file");
        return Err(Error::invalid("file", message));
    }
    Ok(PathBuf::from(name))
}

impl Inbox {
    /// Writes the file at `path` within the folder.
    async fn write(
        &mut self,
        path: &Path,
        stream: impl Stream<Item = Result<Bytes, String>>,
    ) -> Result<(), Error> {
        let path = self.folder.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).await.map_err(|error| disk(&error))?;
        }
        // A file that comes twice is a mistake of whoever sends it.
        let mut file = File::create_new(path).await.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::invalid("file", "a file of the model comes twice"),
            _ => disk(&error),
        })?;
        let mut stream = std::pin::pin!(stream);
        while let Some(piece) = next(&mut stream, self.limits.body_timeout).await? {
            let piece = piece.map_err(|error| broken(&error))?;
            self.room_bytes = self.room_bytes.checked_sub(piece.len() as u64).ok_or_else(full)?;
            file.write_all(&piece).await.map_err(|error| disk(&error))?;
        }
        file.flush().await.map_err(|error| disk(&error))
    }
}

/// The next piece. A model takes as long as it takes to come, and may not stand still.
pub(in crate::dialect) async fn next<S: Stream + Unpin>(
    stream: &mut S,
    patience: Duration,
) -> Result<Option<S::Item>, Error> {
    let slow = || {
        let message = format!("nothing came for {} s; send it again", patience.as_secs());
        Error::new(Code::DeadlineExceeded, message)
    };
    timeout(patience, stream.next()).await.map_err(|_| slow())
}

/// The client does not send on.
pub(in crate::dialect) fn broken(cause: &str) -> Error {
    Error::invalid("", format!("the model broke off: {cause}; send it again"))
}

fn full() -> Error {
    let message = "there is no room for more of it on the disk of models.store (pull.reserve stays free)";
    Error::new(Code::NoCapacity, message)
}

/// The disk does not take what comes.
pub(in crate::dialect) fn disk(error: &std::io::Error) -> Error {
    let code = if error.kind() == ErrorKind::StorageFull { Code::NoCapacity } else { Code::Internal };
    Error::new(code, format!("the model cannot be written: {error}; check the disk of models.store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_leaves_its_models_folder() {
        let check = |name: &str, is_fine: bool| assert_eq!(path_of(name).is_ok(), is_fine, "{name:?}");
        check("model.gguf", true);
        check("onnx/model.onnx", true);
        check("", false);
        check("/etc/passwd", false);
        check("../x", false);
        check("a/../../x", false);
        check("a//x", false);
        check(".hidden", false);
        check("a\\x", false);
        check("a\0", false);
        check("a/b/c/d/e", false);
        check(&"x".repeat(201), false);
    }
}
