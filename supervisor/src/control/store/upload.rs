//! `BeginUpload` and `FinishUpload`: a gateway writes what it is sent into a folder that it is told, and the supervisor
//! makes it a model.

use std::{collections::HashMap, path::Path};

use impetus_models::ModelName;
use impetus_proto::{
    Code, Error,
    store::{BeginUploadReply, BeginUploadRequest, FinishUploadReply, FinishUploadRequest},
};

use super::StoreService;
use crate::{
    events::{Kind, Note},
    pulls::blocking,
    store::{Arrival, Digest, KeptFile, Origin, UPLOAD},
};

/// Between the random part of an id and the model's name.
const SEPARATOR: char = '-';

impl StoreService {
    pub(super) async fn answer_begin_upload(
        &self,
        request: BeginUploadRequest,
    ) -> Result<BeginUploadReply, Error> {
        let name =
            ModelName::new(&request.name).map_err(|error| Error::invalid("name", error.to_string()))?;
        self.0.pulls.check_name(&name, "").await?;
        let (free, reserve) = (self.0.pulls.store().free_bytes(), self.0.configured.now().pull.reserve.0);
        if free <= request.bytes.saturating_add(reserve) {
            let message = format!(
                "there is no room for {} bytes: {free} are free, of which {reserve} stay free (pull.reserve)",
                request.bytes
            );
            return Err(Error::new(Code::NoCapacity, message));
        }
        // Nobody else's folders are called so, and nobody finishes a pull by this way.
        let id = format!("{UPLOAD}{:016x}{SEPARATOR}{name}", rand::random::<u64>());
        let (store, staged) = (self.0.pulls.store(), id.clone());
        let made = blocking(move || {
            store.discard_abandoned();
            store.staging(&staged)
        });
        let folder = made.await?.join("model").to_string_lossy().into_owned();
        Ok(BeginUploadReply { id, folder, room_bytes: free - reserve })
    }

    pub(super) async fn answer_finish_upload(
        &self,
        request: FinishUploadRequest,
    ) -> Result<FinishUploadReply, Error> {
        let FinishUploadRequest { id, discard, sha256 } = request;
        let name = name_of(&id).ok_or_else(|| Error::invalid("id", "it is not that of an upload"))?;
        let finished = if discard { Ok(None) } else { self.finish(&id, name, sha256).await.map(Some) };
        if !matches!(finished, Ok(Some(_))) {
            let store = self.0.pulls.store();
            blocking(move || store.discard(&id)).await?;
        }
        Ok(FinishUploadReply { model: finished? })
    }

    async fn finish(
        &self,
        id: &str,
        name: ModelName,
        told: HashMap<String, String>,
    ) -> Result<impetus_proto::store::Stored, Error> {
        self.0.pulls.check_name(&name, "").await?;
        let (store, staged) = (self.0.pulls.store(), id.to_owned());
        let files = blocking(move || store.staged_files(&staged)).await?;
        for file in &files {
            check(file, told.get(file.path.to_string_lossy().as_ref()))?;
        }
        let absent = told.keys().find(|path| !files.iter().any(|file| file.path == Path::new(path)));
        if let Some(path) = absent {
            return Err(Error::invalid("sha256", format!("{path} has a digest, and did not come")));
        }
        let (source, revision) = (String::new(), String::new());
        let arrival = Arrival { name, origin: Origin::Uploaded, source, revision, files };
        let kept = self.0.pulls.publish(id.to_owned(), arrival).await?;
        self.0.note(Note::new(Kind::ModelUploaded, kept.name.as_str(), format!("{} bytes", kept.bytes)));
        Ok(self.message(kept, &[]))
    }
}

fn name_of(id: &str) -> Option<ModelName> {
    let (random, name) = id.strip_prefix(UPLOAD)?.split_once(SEPARATOR)?;
    let is_ours = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    ModelName::new(name).ok().filter(|_| is_ours)
}

fn check(file: &KeptFile, told: Option<&String>) -> Result<(), Error> {
    let Some(told) = told else { return Ok(()) };
    let path = file.path.display();
    let expected: Digest =
        told.parse().map_err(|error| Error::invalid("sha256", format!("that of {path} is none: {error}")))?;
    match file.sha256 {
        Some(found) if found != expected => {
            let message =
                format!("{path} came as sha256:{found} and should be sha256:{expected}; send it again");
            Err(Error::invalid("sha256", message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_upload_is_finished() {
        let check = |id: &str, expected: Option<&str>| {
            assert_eq!(name_of(id).map(|name| name.to_string()).as_deref(), expected, "{id}");
        };
        check("upload-0123456789abcdef-tiny", Some("tiny"));
        check("upload-0123456789abcdef-qwen3:0.6b-q4", Some("qwen3:0.6b-q4"));
        check("upload-0123456789abcdef-../x", None);
        check("upload-../../etc-tiny", None);
        check("0123456789ab", None);
        check("upload-0123456789abcdef-", None);
    }
}
