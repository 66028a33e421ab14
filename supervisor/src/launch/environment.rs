//! What a child gets to see of the supervisor's environment: an explicit list, so that no key or token that
//! happens to be exported reaches a process that parses hostile files.

use std::collections::HashMap;

/// Names that are passed on as they are.
const NAMES: &[&str] =
    &["HOME", "LANG", "LD_LIBRARY_PATH", "ORT_DYLIB_PATH", "PATH", "RUST_BACKTRACE", "TMPDIR", "TZ"];

/// Beginnings of names that are passed on: locale, dynamic linker and accelerator settings.
const PREFIXES: &[&str] =
    &["CUDA_", "DYLD_", "GGML_", "HIP_", "HSA_", "LC_", "NVIDIA_", "OMP_", "ROCR_", "VK_"];

/// Set for every child: idle OpenMP threads sleep, since a machine runs more engines than cores. Those of worker-gguf
/// are its own and need not be told.
const FIXED: &[(&str, &str)] = &[("OMP_WAIT_POLICY", "passive")];

/// The whole environment of a child, from that of this process.
pub fn inherited() -> HashMap<String, String> {
    select(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// The part of `all` that a child may see, with the fixed values.
pub fn select(all: impl IntoIterator<Item = (String, String)>) -> HashMap<String, String> {
    let allowed =
        |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let fixed = FIXED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    all.into_iter().filter(|(name, _)| allowed(name)).chain(fixed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_pass() {
        let check = |name: &str, passes: bool| {
            let got = select([(name.to_owned(), "x".to_owned())]);
            assert_eq!(got.get(name).is_some_and(|value| value == "x"), passes, "{name}");
            assert_eq!(got["OMP_WAIT_POLICY"], "passive");
        };
        check("PATH", true);
        check("CUDA_VISIBLE_DEVICES", true);
        check("DYLD_LIBRARY_PATH", true);
        check("AWS_SECRET_ACCESS_KEY", false);
        check("IMPETUS_GATEWAY__LISTEN", false);
        check("PATHOLOGY", false);
        check("OMP_WAIT_POLICY", false);
    }
}
