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
        self.quantization.map_or_else(|| self.name.clone(), |quantization| quantization.name.to_owned())
    }
}

/// The models that the wish for a format (empty: any) and for a variant leave, best first. Never none.
pub(crate) fn candidates(listing: &Listing, format: &str) -> Result<Vec<Candidate>, FetchError> {
    let all = every(listing);
    let nothing = |why: &str| FetchError::Nothing { what: listing.what.clone(), why: why.into() };
    if all.is_empty() {
        return Err(nothing("no GGUF file, no weights with a config.json beside them and no ONNX graph"));
    }
    let of_format: Vec<Candidate> = match format {
        // The first format that there is; candidates come in their order.
        "" if listing.variant.is_none() => {
            let first = all[0].format;
            all.into_iter().filter(|candidate| candidate.format == first).collect()
        }
        "" => all,
        format => all.into_iter().filter(|candidate| candidate.format == format).collect(),
    };
    if of_format.is_empty() {
        return Err(nothing(&format!("nothing is in the format {format}")));
    }
    let Some(variant) = &listing.variant else {
        let mut candidates = of_format;
        candidates.sort_by_key(|candidate| candidate.quantization.map_or(0, Quantization::distance));
        return Ok(candidates);
    };
    let meant: Vec<Candidate> =
        of_format.iter().filter(|candidate| is_meant(candidate, variant)).cloned().collect();
    if meant.is_empty() {
        let mut there: Vec<String> = of_format.iter().map(Candidate::label).collect();
        there.dedup();
        let (what, variant) = (listing.what.clone(), variant.clone());
        return Err(FetchError::Variant { what, variant, there: there.join(", ") });
    }
    Ok(meant.into_iter().take(1).collect())
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

fn is_meant(candidate: &Candidate, variant: &str) -> bool {
    let is_file = || candidate.files.iter().any(|file| file.path.name().eq_ignore_ascii_case(variant));
    let is_format = match candidate.format {
        GGUF_FORMAT => variant.eq_ignore_ascii_case("gguf"),
        CANDLE_FORMAT => {
            ["safetensors", "pytorch", "candle"].iter().any(|name| variant.eq_ignore_ascii_case(name))
        }
        ONNX_FORMAT => variant.eq_ignore_ascii_case("onnx"),
        _ => false,
    };
    let is_quantization = || candidate.quantization.is_some_and(|q| q.name.eq_ignore_ascii_case(variant));
    // `latest` is what programs say that cannot leave a tag out.
    is_format
        || is_quantization()
        || is_file()
        || candidate.name.eq_ignore_ascii_case(variant)
        || variant == "latest"
}

#[cfg(test)]
mod tests;
