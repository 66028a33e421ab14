//! What will be fetched: the first candidate that fits, and why.

use std::path::Path;

use impetus_models::GGUF_FORMAT;
use impetus_proto::fetch::{FetchSpec, File, FitSpec, GitDigest, Plan};

use crate::{
    choice::{Candidate, Candidates, candidates},
    digest::Digest,
    error::FetchError,
    fit::Beyond,
    source::{Listing, RemoteFile},
    web::Web,
};

/// The longest list of files that is told, in bytes, of paths and what else is said of each file; twice that fits into a
/// message.
const MAX_LIST_BYTES: usize = 512 << 10;
const FILE_BYTES: usize = 160;

/// A candidate, chosen.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) files: Vec<RemoteFile>,
    told: Plan,
}

impl Planned {
    pub(crate) async fn new(
        web: &Web,
        listing: Listing,
        spec: &FetchSpec,
        staging: &Path,
    ) -> Result<Self, FetchError> {
        let Candidates { all: candidates, is_told } = candidates(&listing, &spec.format)?;
        let fit = spec.fit.clone().unwrap_or_default();
        let beyond = match candidates.first() {
            Some(first) if first.format == GGUF_FORMAT => Beyond::read(web, first, &fit, staging).await?,
            _ => None,
        };
        let Choice { candidate, need_bytes, why } =
            choose(&candidates, beyond, &fit, &listing.what, is_told)?;
        let listed = candidate.files.iter().map(|file| file.path.as_str().len() + FILE_BYTES).sum::<usize>();
        if listed > MAX_LIST_BYTES {
            let (what, n_files) = (listing.what, candidate.files.len());
            return Err(FetchError::TooMany { what, n_files });
        }
        let mut notes = listing.notes;
        let n_unchecked = candidate.files.iter().filter(|file| file.digest.is_none()).count();
        if n_unchecked > 0 {
            let n_files = candidate.files.len();
            notes.push(format!(
                "of {n_unchecked} of {n_files} files nobody says what they have to be: they are not checked"
            ));
        }
        if fit.room_bytes > 0 && need_bytes > fit.room_bytes {
            let (need, room) = (size(need_bytes), size(fit.room_bytes));
            notes.push(format!(
                "it will take about {need} of memory, and models may take {room} on this machine"
            ));
        }
        let told = Plan {
            name: candidate.name.clone(),
            source: source(&listing.what, &listing.revision),
            revision: listing.revision,
            format: candidate.format.into(),
            quantization: candidate.quantization.map_or_else(String::new, |q| q.to_string()),
            why,
            files: candidate.files.iter().map(message).collect(),
            git: candidate.files.iter().filter_map(git).collect(),
            total_bytes: candidate.bytes(),
            present_bytes: 0,
            need_bytes,
            notes,
        };
        Ok(Self { files: candidate.files, told })
    }

    /// What the supervisor is told, of which so much is here.
    pub(crate) fn message(&self, present_bytes: u64) -> Plan {
        Plan { present_bytes, ..self.told.clone() }
    }

    pub(crate) fn source(&self) -> &str {
        &self.told.source
    }
}

struct Choice {
    candidate: Candidate,
    need_bytes: u64,
    why: String,
}

/// The first of those that there are that fits into the room, unless somebody has said which; there is one at least.
fn choose(
    candidates: &[Candidate],
    beyond: Option<Beyond>,
    fit: &FitSpec,
    what: &str,
    is_told: bool,
) -> Result<Choice, FetchError> {
    let need = |candidate: &Candidate| {
        let bytes = candidate.bytes();
        bytes.saturating_add(beyond.unwrap_or_else(|| Beyond::guessed(bytes)).0)
    };
    let choice = |candidate: &Candidate, why| Choice {
        candidate: candidate.clone(),
        need_bytes: need(candidate),
        why,
    };
    let nothing = || FetchError::Nothing { what: what.into(), why: "it has no files".into() };
    let first = candidates.first().ok_or_else(nothing)?;
    let quantized: Vec<&Candidate> = candidates.iter().filter(|one| one.format == GGUF_FORMAT).collect();
    if is_told || quantized.len() < 2 {
        return Ok(choice(first, String::new()));
    }
    let room = size(fit.room_bytes);
    let fits = |candidate: &&Candidate| fit.room_bytes == 0 || need(candidate) <= fit.room_bytes;
    let Some(best) = quantized.iter().copied().find(fits) else {
        let smallest = quantized.iter().copied().min_by_key(|one| need(one)).unwrap_or(first);
        let (smallest, need) = (smallest.label(), size(need(smallest)));
        return Err(FetchError::NoFit { what: what.into(), smallest, need, room });
    };
    let takes = format!("{} takes about {}", best.label(), size(need(best)));
    let of_room = if fit.room_bytes == 0 {
        String::new()
    } else {
        format!(" of the {room} of memory that models may take on this machine")
    };
    let why = if std::ptr::eq(best, first) {
        format!("of {} the nearest to the usual one, Q4_K_M: {takes}{of_room}", quantized.len())
    } else {
        format!("{takes}{of_room}; {} would take {}", first.label(), size(need(first)))
    };
    Ok(choice(best, why))
}

fn source(what: &str, revision: &str) -> String {
    // Enough of a commit or a digest for a person to tell two from each other.
    let short: String = revision.strip_prefix("sha256:").unwrap_or(revision).chars().take(12).collect();
    if short.is_empty() { what.to_owned() } else { format!("{what} ({short})") }
}

fn message(file: &RemoteFile) -> File {
    let sha256 = file.digest.as_ref().and_then(Digest::as_sha256).unwrap_or_default();
    File { path: file.path.to_string(), bytes: file.bytes, sha256 }
}

fn git(file: &RemoteFile) -> Option<GitDigest> {
    Some(GitDigest { path: file.path.to_string(), sha1: file.digest.as_ref()?.as_git_blob()? })
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let (gib, mib) = (bytes as f64 / (1u64 << 30) as f64, bytes as f64 / (1u64 << 20) as f64);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{mib:.1} MiB") }
}

#[cfg(test)]
mod tests {
    use impetus_models::RelativePath;

    use super::*;
    use crate::web::Ask;

    fn gguf(name: &str, gib: u64) -> Candidate {
        let listing = Listing {
            name: "m".into(),
            what: "o/m".into(),
            revision: String::new(),
            variant: None,
            files: vec![RemoteFile {
                path: RelativePath::new(&format!("m-{name}.gguf")).unwrap(),
                bytes: gib << 30,
                digest: None,
                identity: name.into(),
                version: None,
                ask: Ask::new("https://h.example/".parse().unwrap(), name),
            }],
            notes: Vec::new(),
        };
        candidates(&listing, "").unwrap().all.remove(0)
    }

    #[test]
    fn the_first_that_fits_is_chosen_and_why_is_said() {
        let all = [gguf("Q4_K_M", 5), gguf("Q3_K_M", 4), gguf("Q8_0", 9), gguf("Q2_K", 3)];
        let check = |room_gib: u64, is_told: bool, expected: &str| {
            let fit = FitSpec { room_bytes: room_gib << 30, ..FitSpec::default() };
            let got = match choose(&all, Some(Beyond(1 << 30)), &fit, "o/m", is_told) {
                Ok(Choice { candidate, why, .. }) => format!("{}: {why}", candidate.label()),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{room_gib}");
        };
        check(
            8,
            false,
            "Q4_K_M: of 4 the nearest to the usual one, Q4_K_M: Q4_K_M takes about 6.0 GiB of the 8.0 GiB of memory \
             that models may take on this machine",
        );
        check(
            5,
            false,
            "Q3_K_M: Q3_K_M takes about 5.0 GiB of the 5.0 GiB of memory that models may take on this machine; Q4_K_M \
             would take 6.0 GiB",
        );
        check(
            3,
            false,
            "no quantization of o/m fits: Q2_K is the smallest and takes 4.0 GiB, and models may take 3.0 GiB on this \
             machine; name one to fetch it nevertheless",
        );
        check(3, true, "Q4_K_M: ");
    }
}
