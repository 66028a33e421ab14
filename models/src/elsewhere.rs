//! Where other programs on this machine keep their models, for those who want them served from there. Nothing is copied
//! and nothing is written there.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::{catalog::Place, name::ModelName, ollama::OllamaManifest, sha256::Sha256};

/// The longest manifest of Ollama's that is read, in bytes; they have some hundred.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// The most manifests that are read.
const MAX_MANIFESTS: usize = 10_000;
/// Registry, namespace, name and tag.
const MANIFEST_DEPTH: usize = 4;

/// The registry and the namespace that Ollama leaves out of names.
const OWN_REGISTRY: [&str; 2] = ["registry.ollama.ai", "library"];

/// A program that keeps models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// The cache of Hugging Face's libraries: `HF_HUB_CACHE`, `hub` in `HF_HOME`, or `~/.cache/huggingface/hub`.
    Huggingface,
    /// Ollama: `OLLAMA_MODELS`, or `~/.ollama/models`, or where its Linux service keeps them.
    Ollama,
    /// LM Studio: `~/.lmstudio/models`, or the folder of earlier versions.
    LmStudio,
    /// llama.cpp's own downloads: `LLAMA_CACHE`, or `llama.cpp` in the user's cache folder.
    LlamaCpp,
}

impl Elsewhere {
    /// Its models, as places to look in; `variable` is the environment. Reads folders and so blocks.
    pub fn places(self, variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<Place> {
        let variable = |name: &str| variable(name).filter(|path| path.is_absolute());
        let home = |rest: &str| variable("HOME").map(|home| home.join(rest));
        let cache = || variable("XDG_CACHE_HOME").or_else(|| home(".cache"));
        let folders: Vec<PathBuf> = match self {
            Self::Huggingface => variable("HF_HUB_CACHE")
                .or_else(|| Some(variable("HF_HOME")?.join("hub")))
                .or_else(|| Some(cache()?.join("huggingface/hub")))
                .into_iter()
                .collect(),
            Self::LmStudio => {
                home(".lmstudio/models").into_iter().chain(home(".cache/lm-studio/models")).collect()
            }
            Self::LlamaCpp => variable("LLAMA_CACHE")
                .or_else(|| Some(cache()?.join("llama.cpp")))
                .into_iter()
                .chain(home("Library/Caches/llama.cpp"))
                .collect(),
            Self::Ollama => {
                let own = variable("OLLAMA_MODELS").or_else(|| home(".ollama/models"));
                let folders = own.into_iter().chain([PathBuf::from("/usr/share/ollama/.ollama/models")]);
                return folders.flat_map(|folder| of_ollama(&folder)).collect();
            }
        };
        let found = folders.into_iter().filter(|folder| folder.is_dir());
        found.map(|path| Place { path, name: None, follow_links: false }).collect()
    }
}

/// The GGUF file of each name that Ollama knows, under that name.
fn of_ollama(folder: &Path) -> Vec<Place> {
    let root = folder.join("manifests");
    let mut manifests = BTreeSet::new();
    collect(&root, MANIFEST_DEPTH, &mut manifests);
    let place = |path: &PathBuf| {
        let steps: Option<Vec<&str>> =
            path.strip_prefix(&root).ok()?.iter().map(|step| step.to_str()).collect();
        let name = name_of(&steps?)?;
        let path = folder.join("blobs").join(blob(path)?);
        path.is_file().then_some(Place { path, name: Some(name), follow_links: false })
    };
    manifests.iter().filter_map(place).collect()
}

/// All files that lie `depth` folders deep.
fn collect(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    // What cannot be read holds nothing that could be served.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if found.len() >= MAX_MANIFESTS {
            return;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 1 => collect(&entry.path(), depth - 1, found),
            Ok(kind) if kind.is_file() && depth == 1 => {
                found.insert(entry.path());
            }
            _ => {}
        }
    }
}

/// `name:tag` of Ollama's own, `namespace-name:tag` of others.
fn name_of(steps: &[&str]) -> Option<ModelName> {
    let [registry, namespace, name, tag] = steps else { return None };
    let is_own = [*registry, *namespace] == OWN_REGISTRY;
    let name = if is_own { format!("{name}:{tag}") } else { format!("{namespace}-{name}:{tag}") };
    ModelName::new(&name).ok()
}

/// The name of the file that holds the model of a manifest.
fn blob(manifest: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(manifest).ok()?.take(MAX_MANIFEST_BYTES).read_to_end(&mut text).ok()?;
    let manifest: OllamaManifest = serde_json::from_slice(&text).ok()?;
    // Nothing but a digest becomes part of a path.
    let digest: Sha256 = manifest.models().next()?.digest.parse().ok()?;
    Some(format!("sha256-{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(elsewhere: Elsewhere, variables: &[(&str, &Path)]) -> Vec<(PathBuf, Option<String>)> {
        let variable =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, path)| path.to_path_buf());
        let places = elsewhere.places(variable);
        places.into_iter().map(|place| (place.path, place.name.map(|name| name.to_string()))).collect()
    }

    #[test]
    fn caches_are_where_their_programs_say() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        for folder in [".cache/huggingface/hub", "own/hub", ".lmstudio/models", ".cache/llama.cpp"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        let check = |elsewhere: Elsewhere, variables: &[(&str, &Path)], expected: &[&str]| {
            let got = places(elsewhere, &[&[("HOME", home)], variables].concat());
            let expected: Vec<_> = expected.iter().map(|path| (home.join(path), None)).collect();
            assert_eq!(got, expected, "{elsewhere:?}");
        };
        check(Elsewhere::Huggingface, &[], &[".cache/huggingface/hub"]);
        check(Elsewhere::Huggingface, &[("HF_HOME", &home.join("own"))], &["own/hub"]);
        check(
            Elsewhere::Huggingface,
            &[("HF_HUB_CACHE", Path::new("relative"))],
            &[".cache/huggingface/hub"],
        );
        check(Elsewhere::Huggingface, &[("HF_HUB_CACHE", &home.join("absent"))], &[]);
        check(Elsewhere::LmStudio, &[], &[".lmstudio/models"]);
        check(Elsewhere::LlamaCpp, &[], &[".cache/llama.cpp"]);
        check(Elsewhere::Ollama, &[], &[]);
    }

    #[test]
    fn ollamas_models_go_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let digest = "ab".repeat(32);
        let manifest = |path: &str, digest: &str| {
            let path = dir.path().join("manifests").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let layers = format!(
                r#"{{"layers": [{{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:00"}},
                {{"mediaType": "application/vnd.ollama.image.model", "digest": "{digest}"}}]}}"#
            );
            fs::write(path, layers).unwrap();
        };
        fs::create_dir(dir.path().join("blobs")).unwrap();
        let blob = dir.path().join("blobs").join(format!("sha256-{digest}"));
        fs::write(&blob, "GGUF").unwrap();
        fs::write(dir.path().join("secret"), "GGUF").unwrap();
        manifest("registry.ollama.ai/library/llama3.2/1b", &format!("sha256:{digest}"));
        manifest("registry.ollama.ai/me/mine/latest", &format!("sha256:{digest}"));
        manifest("registry.ollama.ai/library/evil/latest", "sha256:../../secret");
        manifest("registry.ollama.ai/library/gone/latest", &format!("sha256:{}", "cd".repeat(32)));
        manifest("registry.ollama.ai/library/odd name/latest", &format!("sha256:{digest}"));
        manifest("shallow", &format!("sha256:{digest}"));
        let got = places(Elsewhere::Ollama, &[("OLLAMA_MODELS", dir.path())]);
        let expected = ["llama3.2:1b", "me-mine:latest"].map(|name| (blob.clone(), Some(name.to_owned())));
        assert_eq!(got, expected);
    }
}
