//! From the sources of settings to one checked configuration.

use std::{
    env, fmt, iter,
    path::{Path, PathBuf},
};

use figment::{Figment, Provider, value::Value};

use crate::{
    Config, ConfigError, Origin,
    key::Key,
    layer::{self, Layer},
    place::{self, Places},
    validate,
};

/// A checked configuration that knows where each of its values comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read, and the one that would have been when there is none.
    pub(crate) file: FileUsed,
    layers: Layers,
    sources: Sources,
}

/// The configuration file of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileUsed {
    Named(PathBuf),
    InDefaultPlace(PathBuf),
    NoneIn(PathBuf),
    NoDefaultPlace,
}

/// All sources, the later winning, and their union.
#[derive(Debug, Clone)]
struct Layers {
    layers: Vec<Layer>,
    figment: Figment,
    merged: Value,
}

/// What a configuration is read from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) file: Option<PathBuf>,
    pub(crate) default_file: Option<PathBuf>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) sets: Vec<String>,
    pub(crate) places: Places,
}

/// Reads the configuration: defaults, then `file` (or the one in its default place, when there is one), then the
/// environment variables `IMPETUS_SECTION__KEY`, then `sets`, each `section.key=value`. Values of the last two are
/// TOML; what is not is a string. All paths of the result are absolute, except bare names of programs.
pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Loaded, ConfigError> {
    let mut variables: Vec<_> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with(layer::PREFIX))
        .collect();
    // `IMPETUS_WORKERS` goes before `IMPETUS_WORKERS__GGUF__SLOTS`, whatever the order in the environment.
    variables.sort();
    let (file, sets) = (file.map(Path::to_path_buf), sets.to_vec());
    Sources { file, default_file: place::default_file(), variables, sets, places: Places::of_process() }
        .load()
}

/// The same of `file` (or the one in its default place) and `sets` alone: what a process reads whose environment is another
/// than this one's.
pub fn load_for_service(file: Option<&Path>, sets: &[String]) -> Result<Loaded, ConfigError> {
    let (file, sets) = (file.map(Path::to_path_buf), sets.to_vec());
    let places = Places::of_process();
    Sources { file, default_file: place::default_file(), variables: Vec::new(), sets, places }.load()
}

impl Sources {
    pub(crate) fn load(self) -> Result<Loaded, ConfigError> {
        self.load_with(None)
    }

    /// With this text in the place of the file's, be it there or not.
    fn load_with(self, text: Option<&str>) -> Result<Loaded, ConfigError> {
        let file = match (self.file.clone(), self.default_file.clone()) {
            (Some(path), _) => FileUsed::Named(path),
            (None, Some(path)) if matches!(path.try_exists(), Ok(false)) => FileUsed::NoneIn(path),
            (None, Some(path)) => FileUsed::InDefaultPlace(path),
            (None, None) => FileUsed::NoDefaultPlace,
        };
        let mut layers = vec![Layer::defaults(&Config::default())?];
        match (&file, text) {
            (FileUsed::Named(path) | FileUsed::InDefaultPlace(path) | FileUsed::NoneIn(path), Some(text)) => {
                layers.push(Layer::text(path, text, &self.places)?);
            }
            (FileUsed::Named(path) | FileUsed::InDefaultPlace(path), None) => {
                layers.push(Layer::file(path, &self.places)?);
            }
            (FileUsed::NoneIn(_), None) | (FileUsed::NoDefaultPlace, _) => {}
        }
        for (name, value) in &self.variables {
            layers.extend(Layer::variable(name, value, &self.places)?);
        }
        for argument in &self.sets {
            layers.push(Layer::argument(argument, &self.places)?);
        }
        let layers = Layers::merge(layers);
        let config = layers.extract()?;
        if let Err(problem) = validate::check(&config) {
            let settings = toml::Value::try_from(&config).map_err(ConfigError::Environment)?;
            let origin = iter::once(&problem.key)
                .chain(&problem.because)
                .map(|key| layers.origin(key))
                .find(|origin| *origin != Origin::Default)
                .unwrap_or(Origin::Default);
            let value = problem.key.find(&settings);
            return Err(ConfigError::invalid(&problem.key, origin, value, problem.expected));
        }
        Ok(Loaded { config, file, layers, sources: self })
    }
}

/// Without variables and arguments, which may have keys in them.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, default_file, places, .. } = self;
        let mut debug = f.debug_struct("Sources");
        debug.field("file", file).field("default_file", default_file).field("places", places);
        debug.finish_non_exhaustive()
    }
}

impl Loaded {
    /// Reads the same sources again: the same file, or the one that is in the default place by now, and the
    /// environment and arguments as they were.
    pub fn again(&self) -> Result<Self, ConfigError> {
        self.sources.clone().load()
    }

    /// The same sources, with this text in the file.
    pub(crate) fn with_file_of(&self, text: &str) -> Result<Self, ConfigError> {
        self.sources.clone().load_with(Some(text))
    }

    /// Where the value of a setting, such as `gateway.listen`, comes from.
    pub fn origin(&self, key: &str) -> Origin {
        Key::parse(key).map_or(Origin::Default, |key| self.origin_of(&key))
    }

    pub(crate) fn origin_of(&self, key: &Key) -> Origin {
        self.layers.origin(key)
    }
}

impl Layers {
    fn merge(layers: Vec<Layer>) -> Self {
        let layers: Vec<_> = layers.into_iter().enumerate().map(|(idx, layer)| layer.with_id(idx)).collect();
        let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
        let merged = figment.data().ok().and_then(|mut data| data.remove(&figment::Profile::Default));
        Self { layers, figment, merged: Value::from(merged.unwrap_or_default()) }
    }

    fn extract(&self) -> Result<Config, ConfigError> {
        self.figment.extract().map_err(|error: figment::Error| {
            let key = Key(error.path.clone());
            let layer = self.layer(&key);
            ConfigError::refused(error.kind, &key, layer.origin_of(&key), key.find(&layer.settings))
        })
    }

    fn origin(&self, key: &Key) -> Origin {
        self.layer(key).origin_of(key)
    }

    /// The source of the value at `key`. A part that its table lacks was filled in, so it is a default; a part of
    /// a list or of a single value comes from where the whole does.
    fn layer(&self, key: &Key) -> &Layer {
        let mut value = &self.merged;
        for step in &key.0 {
            let part = match value {
                Value::Dict(_, table) => match table.get(step) {
                    Some(part) => part,
                    None => return &self.layers[0],
                },
                Value::Array(_, items) => match step.parse().ok().and_then(|idx: usize| items.get(idx)) {
                    Some(part) => part,
                    None => break,
                },
                _ => break,
            };
            value = part;
        }
        let metadata = self.figment.get_metadata(value.tag());
        let idx = metadata.and_then(|metadata| metadata.name.parse::<usize>().ok());
        &self.layers[idx.unwrap_or(0)]
    }
}
