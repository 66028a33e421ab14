//! What a person calls a model that is elsewhere: a repository of the Hugging Face hub, a name of Ollama's library, an
//! address. A reference is only ever sent to the server that it names; no part of it becomes a path on this machine.

use std::{fmt, str::FromStr};

/// The longest reference, in bytes.
const MAX_BYTES: usize = 2048;

/// The longest part of one that is no address, in bytes.
const MAX_PART_BYTES: usize = 128;

/// What a branch of the hub is called that nobody names.
pub const MAIN: &str = "main";

/// What stands for the query of an address.
const HIDDEN: &str = "?…";

/// Hosts of the hub, as people write them.
const HUB_HOSTS: [&str; 3] = ["hf.co/", "huggingface.co/", "www.huggingface.co/"];
/// Hosts of Ollama's library.
const OLLAMA_HOSTS: [&str; 4] =
    ["ollama.com/library/", "registry.ollama.ai/library/", "ollama.com/", "registry.ollama.ai/"];

/// Where a model is to be fetched from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A repository of the Hugging Face hub: `owner/name[@revision][:quantization]`.
    Hub {
        /// `owner/name`.
        repository: String,
        /// A branch, a tag or a commit.
        revision: String,
        /// Which of the models in it: a quantization, a format or a file; absent: as the fetcher chooses.
        variant: Option<String>,
    },
    /// A name of Ollama's library: `[namespace/]name[:tag]`.
    Ollama {
        /// The owner, `library` for Ollama's own.
        namespace: String,
        /// The model.
        name: String,
        /// Which of its sizes and quantizations.
        tag: String,
    },
    /// A file at an address.
    Url(String),
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It is empty or too long.
    #[error("a model to fetch is named by 1 to {MAX_BYTES} characters")]
    Length,
    /// A part of it has a character that none has, or is too long.
    #[error(
        "{part:?} cannot be part of a model's name; use owner/name[:quantization] for the Hugging Face hub, \
         ollama:name[:tag] for Ollama's library, or an address that begins with https://"
    )]
    Part {
        /// The part.
        part: String,
    },
    /// It has too many parts.
    #[error(
        "{text:?} names no model: a repository of the hub is owner/name[:quantization], and the file of an address \
         begins with https://"
    )]
    Shape {
        /// All of it.
        text: String,
    },
}

impl Reference {
    /// The text under which two references to the same are the same.
    pub fn canonical(&self) -> String {
        self.to_string()
    }

    /// The text that people may see: an address without what opens a door, which is in its name of a user or its query.
    pub fn shown(&self) -> String {
        let Self::Url(url) = self else { return self.canonical() };
        let (address, fragment) =
            url.split_once('#').map_or((url.as_str(), None), |(url, rest)| (url, Some(rest)));
        let (address, query) =
            address.split_once('?').map_or((address, ""), |(address, _)| (address, HIDDEN));
        // What the content has to be is no secret.
        let fragment = fragment.filter(|fragment| fragment.starts_with("sha256"));
        let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!("{scheme}://{host}/{path}{query}{fragment}")
    }

    /// Whether it names any address, not a model of a configured server.
    pub fn is_address(&self) -> bool {
        matches!(self, Self::Url(_))
    }

    /// Whether both name a model of the same repository, or the same one of Ollama's, so that one can be a later state of
    /// the other.
    pub fn is_kin(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hub { repository: a, .. }, Self::Hub { repository: b, .. }) => a == b,
            // What was hidden may have told them apart.
            (Self::Url(a), Self::Url(b)) => a == b && !a.contains(HIDDEN),
            (a, b) => a == b,
        }
    }

    fn hub(text: &str) -> Result<Self, ReferenceError> {
        let (text, variant) = match text.split_once(':') {
            Some((text, variant)) => (text, Some(part(variant)?)),
            None => (text, None),
        };
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let mut parts = repository.split('/');
        let (Some(owner), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ReferenceError::Shape { text: text.to_owned() });
        };
        // A revision may have slashes, as branches do.
        for step in revision.split('/') {
            part(step)?;
        }
        Ok(Self::Hub {
            repository: format!("{}/{}", part(owner)?, part(name)?),
            revision: revision.to_owned(),
            variant,
        })
    }

    fn ollama(text: &str) -> Result<Self, ReferenceError> {
        let (text, tag) = text.split_once(':').unwrap_or((text, "latest"));
        let (namespace, name) = text.split_once('/').unwrap_or(("library", text));
        Ok(Self::Ollama { namespace: part(namespace)?, name: part(name)?, tag: part(tag)? })
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(ReferenceError::Length);
        }
        let bare = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        if let Some(rest) = text.strip_prefix("hf:") {
            return Self::hub(rest);
        }
        if let Some(rest) = text.strip_prefix("ollama:") {
            return Self::ollama(rest);
        }
        // The page of a repository, not a file of it.
        let of_hub = HUB_HOSTS.iter().find_map(|host| bare.strip_prefix(host));
        if let Some(rest) = of_hub.filter(|rest| rest.matches('/').count() == 1 || !text.contains("://")) {
            return Self::hub(rest);
        }
        if let Some(rest) = OLLAMA_HOSTS.iter().find_map(|host| bare.strip_prefix(host)) {
            return Self::ollama(rest);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            let is_odd = |c: char| c.is_whitespace() || c.is_control();
            return if text.contains(is_odd) {
                Err(ReferenceError::Part { part: text.to_owned() })
            } else {
                Ok(Self::Url(text.to_owned()))
            };
        }
        if text.contains('/') { Self::hub(text) } else { Self::ollama(text) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, revision, variant } => {
                write!(formatter, "hf:{repository}")?;
                if revision != MAIN {
                    write!(formatter, "@{revision}")?;
                }
                variant.iter().try_for_each(|variant| write!(formatter, ":{variant}"))
            }
            Self::Ollama { namespace, name, tag } if namespace == "library" => {
                write!(formatter, "ollama:{name}:{tag}")
            }
            Self::Ollama { namespace, name, tag } => write!(formatter, "ollama:{namespace}/{name}:{tag}"),
            Self::Url(url) => formatter.write_str(url),
        }
    }
}

/// A part of a name as the hub and Ollama's library permit them, which no part of a path with a meaning of its own is.
fn part(text: &str) -> Result<String, ReferenceError> {
    let is_permitted = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_plain = !text.is_empty()
        && text.len() <= MAX_PART_BYTES
        && text.chars().all(is_permitted)
        && !text.starts_with(['.', '-'])
        && !text.contains("..");
    if is_plain { Ok(text.to_owned()) } else { Err(ReferenceError::Part { part: text.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_opens_doors() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Reference>().unwrap().shown(), expected, "{text}");
        };
        check("https://example.org/a/m.gguf", "https://example.org/a/m.gguf");
        check("https://me:word@example.org/m.gguf?X-Amz-Signature=1", "https://example.org/m.gguf?…");
        check("https://example.org:8080/m.gguf?k=1#sha256=00", "https://example.org:8080/m.gguf?…#sha256=00");
        check("https://example.org/m.gguf#secret", "https://example.org/m.gguf");
        check("https://example.org?a=b@c/d", "https://example.org/?…");
        check("a/b:Q4_0", "hf:a/b:Q4_0");
    }

    #[test]
    fn references_are_read_as_people_write_them() {
        let check = |text: &str, expected: &str| {
            let got = text.parse::<Reference>();
            let got = got.map_or_else(|error| format!("error: {error}"), |reference| reference.canonical());
            assert!(got == expected || got.starts_with("error: ") && expected == "error", "{text}: {got}");
        };
        check("bartowski/Llama-3.2-1B-Instruct-GGUF", "hf:bartowski/Llama-3.2-1B-Instruct-GGUF");
        check("a/b:Q4_K_M", "hf:a/b:Q4_K_M");
        check("a/b@v1.0:Q8_0", "hf:a/b@v1.0:Q8_0");
        check("a/b@refs/pr/1", "hf:a/b@refs/pr/1");
        check("hf.co/a/b:Q4_0", "hf:a/b:Q4_0");
        check("hf:a/b", "hf:a/b");
        check("https://huggingface.co/a/b", "hf:a/b");
        check("https://huggingface.co/a/b/", "hf:a/b");
        check(
            "https://huggingface.co/a/b/resolve/main/c.gguf",
            "https://huggingface.co/a/b/resolve/main/c.gguf",
        );
        check("llama3.2", "ollama:llama3.2:latest");
        check("llama3.2:1b", "ollama:llama3.2:1b");
        check("ollama:me/mine:7b", "ollama:me/mine:7b");
        check("https://ollama.com/library/qwen3:0.6b", "ollama:qwen3:0.6b");
        check("https://example.org/m.gguf?x=1", "https://example.org/m.gguf?x=1");
        check("http://127.0.0.1:9/m.gguf", "http://127.0.0.1:9/m.gguf");
        for wrong in [
            "",
            "/",
            "a/b/c",
            "../b",
            "a/..",
            "a/b:../c",
            "a/b@..",
            "a/b@x/../y",
            "a b/c",
            "ollama:../x",
            "ollama:a:b/../c",
            "hf:a",
            "-a/b",
            ".a/b",
            "a/b:",
            "https://x/y z",
            "a\0/b",
            "a/b@",
        ] {
            check(wrong, "error");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["hf:a/b", "hf:a/b@c:d", "ollama:x:y", "ollama:n/x:y", "https://h/f.gguf"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
