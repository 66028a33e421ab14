//! Python programs and what `tools/setup` fetches for them.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use impetus_tests::process::command;

use super::ctl::Output;

/// Set by a person who has no way to what is fetched.
const SKIP: &str = "IMPETUS_SKIP_CLIENTS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the repository")
}

/// A folder in `.tools`; `None`, which is said, when the tests are to go without.
pub(crate) fn fetched(name: &str) -> Option<PathBuf> {
    if env::var(SKIP).as_deref() == Ok("1") {
        eprintln!("nothing was tested: {SKIP} is set");
        return None;
    }
    let folder = root().join(".tools").join(name);
    let set = name.split('/').next().unwrap_or(name);
    let help = format!("run `tools/setup {set}`, or set {SKIP}=1 to go without this test");
    assert!(folder.is_dir(), "{} is missing: {help}", folder.display());
    Some(folder)
}

/// Runs a program of the repository with the packages of `.tools/<packages>`, in the folder `dir`.
pub(crate) async fn python(packages: &str, program: &str, args: &[&OsStr], dir: &Path) -> Output {
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = command(Path::new(&python), dir);
    command.env("PYTHONPATH", root().join(".tools").join(packages)).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root().join(program)).args(args);
    let run = move || command.output().expect("Python can be started");
    tokio::task::spawn_blocking(run).await.expect("it does not panic").into()
}
