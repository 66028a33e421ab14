//! What a model would take of memory here, from the header of a file that is not here yet.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use impetus_models::{Catalog, FootprintParams, Place, footprint};
use impetus_proto::fetch::FitSpec;
use serde::{Deserialize, Serialize};

use crate::{choice::Candidate, error::FetchError, source::RemoteFile, web::Web};

/// What is read of a file, as long as it is not enough: most headers are some megabytes, those of large vocabularies more.
const TRIES_BYTES: [u64; 4] = [1 << 20, 4 << 20, 16 << 20, 64 << 20];

/// The file that a header is put into, as long as the whole one.
const HEADER: &str = "header.gguf";

/// The file that says what was read of a header, so that it is read once however often a pull is gone on with.
const KNOWN: &str = "header.json";

/// Bytes of memory, beyond weights, that any quantization of a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beyond(pub(crate) u64);

/// What was read of a header.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    identity: String,
    fit: String,
    beyond: Option<Beyond>,
}

/// What of the fit a header is read for. The room changes from moment to moment.
fn of(fit: &FitSpec) -> String {
    let mut options: Vec<_> = fit.options.iter().collect();
    options.sort();
    format!("{} {} {options:?}", fit.slots, fit.context_tokens)
}

impl Beyond {
    /// Where the header cannot be read, from experience: a tenth of the weights and what a process holds.
    pub(crate) fn guessed(bytes: u64) -> Self {
        Self(bytes / 10 + (512 << 20))
    }

    /// Reads the header of one candidate. `None`: it cannot be told.
    pub(crate) async fn read(
        web: &Web,
        candidate: &Candidate,
        fit: &FitSpec,
        staging: &Path,
    ) -> Result<Option<Self>, FetchError> {
        let Some(first) = candidate.files.first() else { return Ok(None) };
        let (path, known) = (staging.join(HEADER), staging.join(KNOWN));
        let read = fs::read(&known).ok().and_then(|text| serde_json::from_slice::<Known>(&text).ok());
        if let Some(read) = read.filter(|read| read.identity == first.identity && read.fit == of(fit)) {
            return Ok(read.beyond);
        }
        let read = Self::header(web, first, candidate, fit, &path).await;
        // It may never have been made.
        let _ = fs::remove_file(&path);
        let beyond = read?;
        let told = Known { identity: first.identity.clone(), fit: of(fit), beyond };
        // Without it the header is read again.
        let _ = serde_json::to_vec(&told).map(|text| fs::write(&known, text));
        Ok(beyond)
    }

    async fn header(
        web: &Web,
        first: &RemoteFile,
        candidate: &Candidate,
        fit: &FitSpec,
        path: &Path,
    ) -> Result<Option<Self>, FetchError> {
        let disk = |error| FetchError::disk(path, error);
        for bytes in TRIES_BYTES {
            let bytes = bytes.min(first.bytes);
            let Some(header) = web.head(&first.ask, bytes).await? else { return Ok(None) };
            let file = File::create(path).map_err(disk)?;
            // The rest is a hole, which takes no room.
            file.set_len(first.bytes).and_then(|()| file.write_all_at(&header, 0)).map_err(disk)?;
            if let Some(beyond) = Self::of_file(path, candidate, fit) {
                return Ok(Some(beyond));
            }
            if bytes == first.bytes {
                break;
            }
        }
        Ok(None)
    }

    fn of_file(path: &Path, candidate: &Candidate, fit: &FitSpec) -> Option<Self> {
        let place = Place { path: path.to_owned(), name: None, follow_links: false };
        let catalog = Catalog::scan(&[place], &[]);
        let metadata = catalog.models().first()?.metadata()?;
        let params = FootprintParams {
            format: candidate.format,
            slots: fit.slots,
            context_tokens: fit.context_tokens,
            threads: 0,
            options: &fit.options,
            gpus: 0,
        };
        let ram = footprint(metadata, &params)?.ram;
        Some(Self(ram.full().saturating_sub(ram.weights)))
    }
}
