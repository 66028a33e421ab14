//! Embeds the files of `dashboard/dist`, where it was built, and nothing where it was not. The folder is there in any case:
//! one that is not there would have this run at every build.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    env,
    fmt::Write,
    fs,
    hash::{Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../dashboard/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = BTreeMap::new();
    if dist.join("index.html").is_file() {
        find(&dist, &dist, &mut files)?;
    }
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("dashboard.rs");
    fs::write(out, format!("const FILES: &[File] = &[{}];\n", table(&files)?))
}

/// All files in `folder`, by their paths within `dist`.
fn find(dist: &Path, folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            find(dist, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(dist) {
            println!("cargo:rerun-if-changed={}", path.display());
            files.insert(name.to_string_lossy().replace('\\', "/"), path);
        }
    }
    Ok(())
}

fn table(files: &BTreeMap<String, PathBuf>) -> io::Result<String> {
    let mut rows = String::new();
    for (name, path) in files {
        let literal = |path: &Path| format!("{:?}", path.to_string_lossy());
        let is_other_form = [".gz", ".br"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|plain| files.contains_key(plain)));
        if is_other_form {
            continue;
        }
        let plain = fs::read(path)?;
        // A form that is no smaller is of no use.
        let form = |suffix: &str| -> io::Result<String> {
            let Some(path) = files.get(&format!("{name}{suffix}")) else { return Ok("None".to_owned()) };
            let is_smaller = fs::metadata(path)?.len() < plain.len() as u64;
            Ok(if is_smaller {
                format!("Some(include_bytes!({}))", literal(path))
            } else {
                "None".to_owned()
            })
        };
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let (gzip, brotli, path) = (form(".gz")?, form(".br")?, literal(path));
        writeln!(
            rows,
            "File {{ path: {name:?}, tag: {tag:?}, plain: include_bytes!({path}), gzip: {gzip}, brotli: {brotli} }},"
        )
        .expect("writing to a String cannot fail");
    }
    Ok(rows)
}
