//! How the hidden states of an input's tokens become its one vector, as the files of sentence-transformers say it:
//! `modules.json` names the steps, the pooling step's `config.json` its mode.
//!
//! <https://sbert.net/docs/package_reference/sentence_transformer/models.html>

use serde_json::Value;

use super::{Folder, FolderError};
use crate::engine::embedding::normalise;

/// How vectors are made. Without any of the files: the mean, normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pooling {
    /// Which tokens count.
    pub mode: PoolingMode,
    /// Whether vectors are scaled to the length one.
    pub normalise: bool,
    /// The most tokens that the makers embed at once, where they say so.
    pub max_tokens: Option<u32>,
}

/// Which hidden states make the vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// The mean of all.
    Mean,
    /// The first token's.
    Cls,
    /// The last token's.
    Last,
    /// The largest of each number.
    Max,
}

const MODULES: &str = "modules.json";

impl Pooling {
    /// Reads the folder's files; nothing when they do not make it an embedding model.
    pub fn read(folder: &Folder) -> Result<Option<Self>, FolderError> {
        let modules = folder.json(MODULES)?;
        let step = modules.as_ref().and_then(|modules| step(modules, "Pooling"));
        let path = match step.map(|step| step["path"].as_str().unwrap_or_default()) {
            Some(path) => path.trim_end_matches('/').to_owned(),
            None if modules.is_some() => return Ok(None),
            None => "1_Pooling".to_owned(),
        };
        let file = if path.is_empty() { "config.json".to_owned() } else { format!("{path}/config.json") };
        let Some(config) = folder.json(&file)? else { return Ok(None) };
        if let Some(other) = modules.as_ref().and_then(unknown_step) {
            return Err(FolderError::Pooling { file: MODULES.into(), what: format!("the step {other}") });
        }
        let mode = mode(&config).map_err(|what| FolderError::Pooling { file, what })?;
        let normalise = modules.as_ref().is_none_or(|modules| has_step(modules, "Normalize"));
        let limits = folder.json("sentence_bert_config.json")?.unwrap_or_default();
        let max_tokens = limits["max_seq_length"].as_u64().and_then(|n| u32::try_from(n).ok());
        Ok(Some(Self { mode, normalise, max_tokens: max_tokens.filter(|&n| n > 0) }))
    }

    /// Pools the `rows`, one behind the other and each as wide as `vector`, into `vector`.
    pub fn pool(self, rows: &[f32], vector: &mut [f32]) {
        let width = vector.len();
        let n_rows = rows.len() / width;
        match self.mode {
            PoolingMode::Cls => vector.copy_from_slice(&rows[..width]),
            PoolingMode::Last => vector.copy_from_slice(&rows[(n_rows - 1) * width..n_rows * width]),
            PoolingMode::Mean => {
                for (column, value) in vector.iter_mut().enumerate() {
                    let sum: f64 = rows[column..].iter().step_by(width).map(|&x| f64::from(x)).sum();
                    *value = (sum / n_rows as f64) as f32;
                }
            }
            PoolingMode::Max => {
                for (column, value) in vector.iter_mut().enumerate() {
                    *value = rows[column..].iter().step_by(width).copied().fold(f32::NEG_INFINITY, f32::max);
                }
            }
        }
        if self.normalise {
            normalise(vector);
        }
    }
}

impl Default for Pooling {
    fn default() -> Self {
        Self { mode: PoolingMode::Mean, normalise: true, max_tokens: None }
    }
}

/// The kind of a step: the last part of its Python name.
fn kind(step: &Value) -> &str {
    let name = step["type"].as_str().unwrap_or_default();
    name.rsplit('.').next().unwrap_or(name)
}

fn step<'a>(modules: &'a Value, wanted: &str) -> Option<&'a Value> {
    modules.as_array()?.iter().find(|step| kind(step) == wanted)
}

fn has_step(modules: &Value, wanted: &str) -> bool {
    step(modules, wanted).is_some()
}

fn unknown_step(modules: &Value) -> Option<String> {
    let steps = modules.as_array()?;
    let known = |step: &&Value| matches!(kind(step), "Transformer" | "Pooling" | "Normalize");
    steps.iter().find(|step| !known(step)).map(|step| format!("{:?}", kind(step)))
}

/// The mode of a pooling step, as older files say it by flags and newer ones by a word.
fn mode(config: &Value) -> Result<PoolingMode, String> {
    const MODES: [(&str, &str, PoolingMode); 4] = [
        ("pooling_mode_mean_tokens", "mean", PoolingMode::Mean),
        ("pooling_mode_cls_token", "cls", PoolingMode::Cls),
        ("pooling_mode_lasttoken", "lasttoken", PoolingMode::Last),
        ("pooling_mode_max_tokens", "max", PoolingMode::Max),
    ];
    let flags = config.as_object().into_iter().flatten();
    let set: Vec<&str> = flags
        .filter(|(name, value)| name.starts_with("pooling_mode_") && **value == Value::Bool(true))
        .map(|(name, _)| name.as_str())
        .collect();
    let word = config["pooling_mode"].as_str();
    let asked = match (set.as_slice(), word) {
        ([], None) => return Ok(PoolingMode::Mean),
        ([], Some(word)) => word,
        ([flag], _) => *flag,
        (several, _) => return Err(several.join(" and ")),
    };
    let found = MODES.iter().find(|(flag, word, _)| *flag == asked || *word == asked);
    found.map(|(_, _, mode)| *mode).ok_or_else(|| format!("{asked:?}"))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // small whole numbers
mod tests {
    use super::*;

    const ROWS: [f32; 6] = [3.0, 0.0, 1.0, 4.0, -1.0, 2.0];

    #[test]
    fn rows_are_pooled() {
        let check = |mode: PoolingMode, expected: [f32; 2]| {
            let mut vector = [0.0; 2];
            Pooling { mode, normalise: false, max_tokens: None }.pool(&ROWS, &mut vector);
            assert_eq!(vector, expected, "{mode:?}");
        };
        check(PoolingMode::Mean, [1.0, 2.0]);
        check(PoolingMode::Cls, [3.0, 0.0]);
        check(PoolingMode::Last, [-1.0, 2.0]);
        check(PoolingMode::Max, [3.0, 4.0]);
        let mut vector = [0.0; 2];
        Pooling { mode: PoolingMode::Cls, ..Pooling::default() }.pool(&ROWS, &mut vector);
        assert_eq!(vector, [1.0, 0.0]);
        Pooling::default().pool(&[0.0; 4], &mut vector);
        assert_eq!(vector, [0.0; 2]);
    }

    fn read(files: &[(&str, &str)]) -> Result<Option<Pooling>, FolderError> {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("1_Pooling")).unwrap();
        for (name, text) in files {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        Pooling::read(&Folder::open(place.path(), place.path()).unwrap())
    }

    const STEPS: &str = r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
    const NORMALISED: &str =
        r#"[{"path": "1_Pooling/", "type": "a.Pooling"}, {"path": "2", "type": "a.Normalize"}]"#;

    #[test]
    fn the_files_say_how() {
        let check = |files: &[(&str, &str)], expected: Option<(PoolingMode, bool, Option<u32>)>| {
            let found = read(files).unwrap();
            let found = found.map(|pooling| (pooling.mode, pooling.normalise, pooling.max_tokens));
            assert_eq!(found, expected, "{files:?}");
        };
        let cls = (
            "1_Pooling/config.json",
            r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#,
        );
        let last = ("1_Pooling/config.json", r#"{"pooling_mode": "lasttoken"}"#);
        let limit = ("sentence_bert_config.json", r#"{"max_seq_length": 256}"#);
        check(&[], None);
        check(&[("modules.json", "[]")], None);
        check(&[cls], Some((PoolingMode::Cls, true, None)));
        check(&[("modules.json", STEPS), cls], Some((PoolingMode::Cls, false, None)));
        check(&[("modules.json", NORMALISED), last, limit], Some((PoolingMode::Last, true, Some(256))));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let check = |files: &[(&str, &str)], expected: &str| {
            let error = read(files).expect_err("it is not known").to_string();
            assert!(error.contains(expected), "{error}");
        };
        let both = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#;
        check(&[("1_Pooling/config.json", both)], "pooling_mode_cls_token and pooling_mode_mean_tokens");
        check(&[("1_Pooling/config.json", r#"{"pooling_mode": "attention"}"#)], "\"attention\"");
        let dense = r#"[{"path": "1_Pooling", "type": "a.Pooling"}, {"path": "2", "type": "a.Dense"}]"#;
        check(&[("modules.json", dense), ("1_Pooling/config.json", "{}")], "the step \"Dense\"");
    }
}
