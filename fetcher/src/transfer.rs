//! Brings files in chunks, several at once. What has come outlives this process: each chunk is written to its place in a
//! part file and noted with a checksum, and a file becomes one only when its digest is right.

mod done;
mod origin;
mod part;
mod room;

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use impetus_models::Sha256;
use impetus_proto::fetch::{FetchSpec, File};
use reqwest::StatusCode;
use tokio::task::spawn_blocking;

use self::{
    done::Done,
    origin::{Origin, range_of},
    part::Part,
};
use crate::{
    digest::{Digest, Digests},
    error::FetchError,
    plan::size,
    progress::Progress,
    source::RemoteFile,
    web::{Again, Ask, Web},
};

/// The folder, within the staging folder, of files that are whole and right, and of parts of those that are not yet.
const MODEL: &str = "model";

/// Small files that are fetched at once, besides the chunks of a large one.
const SMALL_AT_ONCE: usize = 4;

/// Brings the files of one model.
#[derive(Debug)]
pub(crate) struct Transfer {
    web: Arc<Web>,
    staging: PathBuf,
    chunk_bytes: u64,
    connections: usize,
    reserve_bytes: u64,
    progress: Arc<Progress>,
    done: Mutex<Done>,
}

impl Transfer {
    pub(crate) fn new(
        web: Arc<Web>,
        spec: &FetchSpec,
        staging: &Path,
        progress: Arc<Progress>,
    ) -> Result<Self, FetchError> {
        let path = staging.join(MODEL);
        fs::create_dir_all(&path).map_err(|source| FetchError::disk(&path, source))?;
        Ok(Self {
            web,
            staging: staging.to_owned(),
            chunk_bytes: spec.chunk_bytes.max(1),
            connections: usize::try_from(spec.connections.max(1)).unwrap_or(1),
            reserve_bytes: spec.reserve_bytes,
            progress,
            done: Mutex::new(Done::load(staging)?),
        })
    }

    /// Bytes of these files that are here already.
    pub(crate) fn present(&self, files: &[RemoteFile]) -> Result<u64, FetchError> {
        let mut present = 0;
        for file in files {
            present += if self.finished(file).is_some() {
                file.bytes
            } else {
                Part::present(&self.part_path(file), file, self.chunk_bytes)
                    .map_err(|source| FetchError::disk(&self.staging, source))?
            };
        }
        Ok(present)
    }

    /// Brings all of them, or says which one cannot be had.
    pub(crate) async fn all(&self, files: &[RemoteFile]) -> Result<Vec<File>, FetchError> {
        self.forget_others(files)?;
        let missing: Vec<&RemoteFile> = files.iter().filter(|file| self.finished(file).is_none()).collect();
        files
            .iter()
            .filter(|file| self.finished(file).is_some())
            .for_each(|file| self.progress.add(file.bytes));
        let brought = self.missing(&missing).await;
        if let Err(error) = &brought
            && error.is_full()
        {
            // A disk that is full helps nobody, least of all the next try.
            tracing::warn!("the disk is full; what has come of the model is given up");
            Done::forget(&self.staging);
            let _ = fs::remove_dir_all(self.staging.join(MODEL));
        }
        brought?;
        files
            .iter()
            .map(|file| {
                let lost = || FetchError::disk(&self.staging.join(MODEL), io::ErrorKind::NotFound.into());
                let sha256 = self.finished(file).ok_or_else(lost)?;
                let (path, bytes) = (file.path.to_string(), file.bytes);
                Ok(File { path, bytes, sha256: sha256.to_string() })
            })
            .collect()
    }

    async fn missing(&self, files: &[&RemoteFile]) -> Result<(), FetchError> {
        let lacks = |file: &&RemoteFile| file.bytes - Part::taken(&self.part_path(file), file);
        let needed = files.iter().map(lacks).fold(0, u64::saturating_add);
        room::check(&self.staging, needed, self.reserve_bytes)?;
        let (large, small): (Vec<&RemoteFile>, Vec<&RemoteFile>) =
            files.iter().partition(|file| file.bytes > self.chunk_bytes);
        stream::iter(small)
            .map(|file| self.file(file))
            .buffer_unordered(SMALL_AT_ONCE.min(self.connections))
            .try_collect::<()>()
            .await?;
        // One after the other: so a stop leaves as few unfinished ones as can be.
        for file in large {
            self.file(file).await?;
        }
        Ok(())
    }

    async fn file(&self, file: &RemoteFile) -> Result<(), FetchError> {
        let path = self.part_path(file);
        let disk = |source| FetchError::disk(&path, source);
        let (opened, wanted, chunk_bytes) = (path.clone(), file.clone(), self.chunk_bytes);
        let open = move || Part::open(&opened, &wanted, chunk_bytes);
        let part = Arc::new(blocking(open).await.map_err(disk)?);
        self.progress.add(part.present_bytes());
        self.chunks(file, &part).await?;
        let mut digests = self.verify(&part, file).await.map_err(disk)?;
        if !is_right(file, &digests) {
            // One chunk that came wrong cannot be told from the others by a digest of the whole.
            tracing::warn!(path = %file.path, "came with the wrong content; fetching it again");
            let before = part.begin_anew().map_err(disk)?;
            self.progress.take_back(file.bytes);
            self.chunks(file, &part).await?;
            digests = self.verify(&part, file).await.map_err(disk)?;
            tracing::warn!(path = %file.path, chunks = ?part.differing(&before), "these chunks came otherwise");
        }
        if !is_right(file, &digests) {
            part.discard();
            return Err(FetchError::Digest {
                path: file.path.to_string(),
                expected: file.digest.as_ref().map(Digest::to_string).unwrap_or_default(),
                got: digests.sha256.to_string(),
            });
        }
        let target = self.staging.join(MODEL).join(file.path.to_path());
        part.finish(&target).map_err(disk)?;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.add(&file.path, file.bytes, &file.identity, digests.sha256).map_err(disk)
    }

    /// Fetches the chunks that are missing.
    async fn chunks(&self, file: &RemoteFile, part: &Arc<Part>) -> Result<(), FetchError> {
        let origin = Origin::of(file);
        let mut missing = part.missing().into_iter();
        let Some(first) = missing.next() else { return Ok(()) };
        // The first one tells whether the server gives parts of files.
        if !self.chunk(&origin, part, first).await? {
            return self.whole(&origin, part).await;
        }
        stream::iter(missing)
            .map(|chunk| self.chunk(&origin, part, chunk))
            .buffer_unordered(self.connections)
            .try_for_each(|is_part| async move {
                let why = || "it gave a part of the file at first, and then no more".to_owned();
                if is_part {
                    Ok(())
                } else {
                    Err(FetchError::Garbled { url: file.ask.what.to_string(), why: why() })
                }
            })
            .await
    }

    /// Fetches one chunk. `false`: the server gives files as a whole alone.
    async fn chunk(&self, origin: &Origin, part: &Arc<Part>, chunk: u64) -> Result<bool, FetchError> {
        let (from, to) = part.range(chunk);
        let mut again = Again::default();
        loop {
            let ask = origin.next();
            let is_direct = ask.url != origin.first().url;
            match self.try_chunk(origin, &ask, part, chunk, (from, to)).await {
                Err(error) if is_direct && !matches!(error, FetchError::Disk { .. }) => {
                    // The link no longer holds; the server gives another.
                    tracing::debug!(%error, "asking for another link");
                    origin.forget(&ask.url);
                }
                Err(error @ (FetchError::Network { .. } | FetchError::Garbled { .. })) => {
                    again.wait(error, &self.progress).await?;
                }
                // Of a file that was given before: a link that expired while another one was asked for.
                Err(error @ (FetchError::Gated { .. } | FetchError::Hidden { .. })) if origin.has_led() => {
                    again.wait(error, &self.progress).await?;
                }
                done => return done,
            }
        }
    }

    async fn try_chunk(
        &self,
        origin: &Origin,
        ask: &Ask,
        part: &Arc<Part>,
        chunk: u64,
        (from, to): (u64, u64),
    ) -> Result<bool, FetchError> {
        let answer = self.web.get(&ask.range(from, to)).await?;
        origin.check(&answer)?;
        let is_whole = answer.status() != StatusCode::PARTIAL_CONTENT;
        if is_whole && (from, to) != (0, part.bytes()) {
            return Ok(false);
        }
        let url = crate::web::bare(answer.url());
        if !is_whole && range_of(&answer) != Some((from, to, part.bytes())) {
            return Err(FetchError::Garbled {
                url,
                why: "it gave another part of the file than was asked for".into(),
            });
        }
        origin.led_to(&answer);
        let expected = usize::try_from(to - from).unwrap_or(usize::MAX);
        let content = self.web.body(answer, expected).await?;
        if content.len() != expected {
            let why = format!("it gave {} of {expected} bytes", content.len());
            return Err(FetchError::Network { url, why });
        }
        let (part, bytes) = (part.clone(), to - from);
        let path = self.staging.clone();
        blocking(move || part.put(chunk, &content))
            .await
            .map_err(|source| FetchError::disk(&path, source))?;
        self.progress.add(bytes);
        Ok(true)
    }

    /// Fetches the whole file in one, chunk by chunk as it comes; those that are here already are let go by.
    async fn whole(&self, origin: &Origin, part: &Arc<Part>) -> Result<(), FetchError> {
        let mut again = Again::default();
        loop {
            let before = part.missing().len();
            match self.try_whole(origin, part).await {
                Ok(()) => return Ok(()),
                Err(error @ FetchError::Network { .. }) => {
                    if part.missing().len() < before {
                        again.forget();
                    }
                    again.wait(error, &self.progress).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_whole(&self, origin: &Origin, part: &Arc<Part>) -> Result<(), FetchError> {
        let mut answer = self.web.get(origin.first()).await?;
        origin.check(&answer)?;
        let url = crate::web::bare(answer.url());
        let missing: HashSet<u64> = part.missing().into_iter().collect();
        let (mut chunk, mut content) = (0u64, Vec::new());
        while chunk < part.chunks() {
            let (from, to) = part.range(chunk);
            let bytes = usize::try_from(to - from).unwrap_or(usize::MAX);
            while content.len() < bytes {
                let ended = || FetchError::Network { url: url.clone(), why: "it ended early".into() };
                content.extend_from_slice(&self.web.piece(&mut answer).await?.ok_or_else(ended)?);
            }
            let rest = content.split_off(bytes);
            if missing.contains(&chunk) {
                let (part, own) = (part.clone(), std::mem::take(&mut content));
                let path = self.staging.clone();
                blocking(move || part.put(chunk, &own))
                    .await
                    .map_err(|source| FetchError::disk(&path, source))?;
                self.progress.add(to - from);
            }
            (chunk, content) = (chunk + 1, rest);
        }
        Ok(())
    }

    async fn verify(&self, part: &Arc<Part>, file: &RemoteFile) -> io::Result<Digests> {
        self.progress.verify(true);
        let (part, bytes) = (part.clone(), file.bytes);
        let digests = blocking(move || Digests::of(part.file(), bytes)).await;
        self.progress.verify(false);
        digests
    }

    /// The SHA-256 of a file that is whole and right.
    fn finished(&self, file: &RemoteFile) -> Option<Sha256> {
        let target = self.staging.join(MODEL).join(file.path.to_path());
        let is_there = fs::metadata(target).is_ok_and(|metadata| metadata.len() == file.bytes);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.find(&file.path, file.bytes, &file.identity).filter(|_| is_there)
    }

    /// Removes what belongs to another revision, or to another choice.
    fn forget_others(&self, files: &[RemoteFile]) -> Result<(), FetchError> {
        let wanted: HashSet<PathBuf> = files.iter().map(|file| file.path.to_path()).collect();
        let parts = files.iter().map(|file| part::path(&file.path, &file.identity));
        let parts: HashSet<PathBuf> = parts.flat_map(|part| [part::map_path(&part), part]).collect();
        let is_wanted = |path: &Path| wanted.contains(path) || parts.contains(path);
        done::sweep(&self.staging.join(MODEL), &is_wanted)
            .map_err(|source| FetchError::disk(&self.staging, source))
    }

    fn part_path(&self, file: &RemoteFile) -> PathBuf {
        self.staging.join(MODEL).join(part::path(&file.path, &file.identity))
    }
}

fn is_right(file: &RemoteFile, digests: &Digests) -> bool {
    file.digest.is_none_or(|digest| digest.is_of(digests))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What a disk has room for, in words.
fn amounts(needed: u64, free: u64, reserve: u64) -> [String; 3] {
    [needed, free, reserve].map(size)
}
