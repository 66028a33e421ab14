//! Which of a repository's files make up one model, and which of its models come first.

mod folder;
mod quantization;

use std::collections::BTreeMap;

use impetus_models::{CANDLE_FORMAT, GGUF_FORMAT, ModelName, ONNX_FORMAT};

use self::quantization::Quantization;
use crate::{
    error::FetchError,
    source::{Listing, RemoteFile},
};

/// The most candidates that are named to a person.
const MAX_LABELS: usize = 50;

/// One model that can be made of the files.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) format: &'static str,
    pub(crate) quantization: Option<Quantization>,
    /// Those with weights first. Their paths are those that they get here.
    pub(crate) files: Vec<RemoteFile>,
}

impl Candidate {
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    /// What a person calls it among others of the repository.
    pub(crate) fn label(&self) -> String {
        self.quantization.map_or_else(|| self.name.clone(), |quantization| quantization.to_string())
    }
}

/// What the variant of a reference asks for.
enum Wish<'w> {
    Any,
    Format(&'static str),
    /// A quantization, a file or a model, by its name.
    One(&'w str),
}

/// The models that can be had, best first; there is one at least.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) all: Vec<Candidate>,
    /// Whether somebody has said which one, whatever it takes.
    pub(crate) is_told: bool,
}

/// The models that the wish for a format (empty: any) and for a variant leave.
pub(crate) fn candidates(listing: &Listing, format: &str) -> Result<Candidates, FetchError> {
    let all = every(listing);
    let wish = Wish::of(listing.variant.as_deref());
    let nothing = |why: &str| FetchError::Nothing { what: listing.what.clone(), why: why.into() };
    if all.is_empty() {
        return Err(nothing("no GGUF file, no weights with a config.json beside them and no ONNX graph"));
    }
    let formats: Vec<&str> = match (format, &wish) {
        ("", Wish::Format(wanted)) => vec![wanted],
        // The first format that there is; candidates come in their order.
        ("", Wish::Any) => vec![all[0].format],
        ("", Wish::One(_)) => Vec::new(),
        (format, Wish::Format(wanted)) => vec![format, wanted],
        (format, _) => vec![format],
    };
    let is_wanted = |candidate: &Candidate| formats.iter().all(|format| candidate.format == *format);
    let mut of_format: Vec<Candidate> = all.into_iter().filter(is_wanted).collect();
    if of_format.is_empty() {
        return Err(nothing(&format!("nothing is in the format {}", formats.join(" and "))));
    }
    // What nobody knows comes last.
    of_format.sort_by_key(|candidate| candidate.quantization.map_or(u64::MAX, Quantization::distance));
    let Wish::One(name) = wish else { return Ok(Candidates { all: of_format, is_told: false }) };
    let Some(meant) = of_format.iter().find(|candidate| is_called(candidate, name)) else {
        return Err(FetchError::Variant {
            what: listing.what.clone(),
            variant: name.to_owned(),
            there: labels(&of_format),
        });
    };
    Ok(Candidates { all: vec![meant.clone()], is_told: true })
}

impl<'w> Wish<'w> {
    fn of(variant: Option<&'w str>) -> Self {
        let Some(variant) = variant else { return Self::Any };
        match variant.to_ascii_lowercase().as_str() {
            // What programs say that cannot leave a tag out.
            "latest" => Self::Any,
            "gguf" => Self::Format(GGUF_FORMAT),
            "safetensors" | "pytorch" | "candle" => Self::Format(CANDLE_FORMAT),
            "onnx" => Self::Format(ONNX_FORMAT),
            _ => Self::One(variant),
        }
    }
}

/// What candidates are called, of many the first ones.
fn labels(candidates: &[Candidate]) -> String {
    let mut labels: Vec<String> = candidates.iter().map(Candidate::label).collect();
    labels.sort();
    labels.dedup();
    let beyond = labels.len().saturating_sub(MAX_LABELS);
    labels.truncate(MAX_LABELS);
    let more = if beyond > 0 { format!(" and {beyond} more") } else { String::new() };
    labels.join(", ") + &more
}

/// GGUF files by their names, then the repository as a folder for candle, then as one for ONNX Runtime.
fn every(listing: &Listing) -> Vec<Candidate> {
    let mut candidates = ggufs(listing);
    candidates.extend(folder::candle(listing));
    candidates.extend(folder::onnx(listing));
    candidates
}

/// Each GGUF file, or its parts together. Projectors of other inputs and what quantizations are made with are no models.
fn ggufs(listing: &Listing) -> Vec<Candidate> {
    let mut groups: BTreeMap<String, Vec<RemoteFile>> = BTreeMap::new();
    for file in &listing.files {
        let name = file.path.name().to_lowercase();
        if !file.path.has_extension("gguf") || name.starts_with("mmproj") || name.contains("imatrix") {
            continue;
        }
        let path = file.path.as_str();
        let stem = &path[..path.len() - ".gguf".len()];
        groups.entry(whole(stem).to_owned()).or_default().push(file.clone());
    }
    let candidate = |(stem, files): (String, Vec<RemoteFile>)| {
        let name = stem.rsplit('/').next().unwrap_or(&stem);
        // Ollama's names are those of its library.
        let name = if listing.name.contains(':') { &listing.name } else { name };
        let flat = files.into_iter().map(|file| RemoteFile { path: file.path.flat(), ..file });
        Candidate {
            name: ModelName::from_stem(name).to_string(),
            format: GGUF_FORMAT,
            quantization: Quantization::of(&stem),
            files: flat.collect(),
        }
    };
    groups.into_iter().map(candidate).collect()
}

/// The name of a model without the number of its part: `m-00001-of-00003` is a part of `m`.
fn whole(stem: &str) -> &str {
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = stem.rsplit_once("-of-").filter(|(_, total)| is_number(total));
    let numbered = parts.and_then(|(rest, _)| rest.rsplit_once('-')).filter(|(_, number)| is_number(number));
    numbered.map_or(stem, |(whole, _)| whole)
}

fn is_called(candidate: &Candidate, name: &str) -> bool {
    let is_file = || candidate.files.iter().any(|file| file.path.name().eq_ignore_ascii_case(name));
    let is_quantization = || candidate.quantization.is_some_and(|own| own.is_called(name));
    is_quantization() || is_file() || candidate.name.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;
