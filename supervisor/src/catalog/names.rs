//! What configuration and swaps say of models: by what names they go, where they lie, how their workers are run.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use impetus_config::{Config, Import, ModelEntry, PrefixesConfig, Slots, Speculation, WorkerConfig};
use impetus_models::{Catalog, Elsewhere, FormatPattern, Model, ModelName, Place};
use impetus_proto::launch::{PrefixSpec, SpeculationSpec, WorkerSpec};

use super::{EntryError, footprint::Computed};
use crate::{
    aliases::{Aliases, Swapped},
    budget::Memory,
    fleet::{Manifest, Width},
    policy::slots,
};

/// The model that is the default when there are several and none is configured.
const BUNDLED: &str = "impetus-tiny";

/// Tokens that are guessed at once, at most. A step of so many costs little more than one of a single token; more of
/// them seldom come true in a row.
const LOOKUP_TOKENS: u32 = 16;

/// Names and settings, all of one configuration.
#[derive(Debug, Clone, Default)]
pub struct Names {
    default: Option<String>,
    workers: BTreeMap<String, WorkerConfig>,
    prefixes: PrefixesConfig,
    entries: BTreeMap<String, ModelEntry>,
    /// As configured.
    aliases: BTreeMap<String, String>,
    swapped: Aliases,
    places: Vec<Place>,
    import: Vec<Elsewhere>,
    /// How models of formats that are not known by their content are.
    pub patterns: Vec<FormatPattern>,
}

impl Names {
    /// Those of `config`, with the models in `bundled` and the swaps of `swapped` that still hold.
    pub(super) fn new(
        config: &Config,
        bundled: Option<PathBuf>,
        mut swapped: Aliases,
    ) -> Result<Self, EntryError> {
        let follow_links = config.models.follow_links;
        let dirs = config.models.dirs.iter().cloned().chain(bundled);
        let folders = dirs.map(|path| Place { path, name: None, follow_links });
        let mut places: Vec<Place> = Vec::new();
        for entry in &config.model {
            let name = ModelName::new(&entry.name)
                .map_err(|source| EntryError { name: entry.name.clone(), source })?;
            let place = |path| Place { path, name: Some(name), follow_links };
            places.extend(entry.path.clone().map(place));
        }
        places.extend(folders);
        let patterns = config.workers.iter().map(|(format, worker)| FormatPattern {
            format: format.clone(),
            patterns: worker.patterns.clone(),
        });
        let aliases: BTreeMap<String, String> = config
            .model
            .iter()
            .flat_map(|entry| entry.aliases.iter().map(|alias| (alias.clone(), entry.name.clone())))
            .collect();
        let entries: BTreeMap<String, ModelEntry> =
            config.model.iter().map(|entry| (entry.name.clone(), entry.clone())).collect();
        // The last word counts: a configuration that says something else than when the alias was swapped is newer.
        swapped.0.retain(|alias, swap| {
            !entries.contains_key(alias) && aliases.get(alias) == swap.instead_of.as_ref()
        });
        Ok(Self {
            default: config.models.default.clone(),
            workers: config.workers.clone(),
            prefixes: config.prefixes.clone(),
            entries,
            aliases,
            swapped,
            places,
            import: config.models.import.iter().map(|import| elsewhere(*import)).collect(),
            patterns: patterns.collect(),
        })
    }

    /// Where models are looked for that the configuration names. Reads other programs' folders and so blocks.
    pub(super) fn all_places(&self) -> impl Iterator<Item = Place> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let imported = self.import.iter().flat_map(move |elsewhere| elsewhere.places(variable));
        self.places.iter().cloned().chain(imported)
    }

    /// The model's own name for `name`, which may be an alias.
    pub(super) fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.meaning(name).unwrap_or(name)
    }

    /// What the alias means.
    pub fn meaning(&self, alias: &str) -> Option<&str> {
        let swapped = self.swapped.0.get(alias).map(|swap| &swap.model);
        swapped.or_else(|| self.aliases.get(alias)).map(String::as_str)
    }

    /// The further names of a model, in alphabetical order.
    pub(super) fn aliases_of(&self, model: &str) -> Vec<String> {
        let mut aliases: Vec<String> = self
            .aliases
            .keys()
            .chain(self.swapped.0.keys())
            .filter(|alias| self.meaning(alias) == Some(model))
            .cloned()
            .collect();
        aliases.sort();
        aliases.dedup();
        aliases
    }

    /// Whether `[[model]]` has an entry of this name.
    pub fn has_entry(&self, model: &str) -> bool {
        self.entries.contains_key(model)
    }

    /// Whether the model is to be up whoever asks for it.
    pub(super) fn is_kept(&self, model: &str) -> bool {
        self.entries.get(model).is_some_and(|entry| entry.pin || entry.preload)
    }

    /// These with another meaning of `alias`, and all that was swapped by then.
    pub fn with_swap(&self, alias: &str, model: &str) -> (Self, Aliases) {
        let mut names = self.clone();
        let instead_of = names.aliases.get(alias).cloned();
        if instead_of.as_deref() == Some(model) {
            names.swapped.0.remove(alias);
        } else {
            let swap = Swapped { model: model.to_owned(), instead_of };
            names.swapped.0.insert(alias.to_owned(), swap);
        }
        let swapped = names.swapped.clone();
        (names, swapped)
    }

    /// What was swapped and still holds.
    pub(super) fn swapped(&self) -> &Aliases {
        &self.swapped
    }

    /// The model for requests that name none.
    pub(super) fn default_model(&self, catalog: &Catalog) -> Option<String> {
        if let Some(name) = &self.default {
            return Some(self.canonical(name).to_owned());
        }
        let servable: Vec<&str> = catalog
            .models()
            .iter()
            .filter(|model| model.is_servable())
            .map(|model| model.name.as_str())
            .collect();
        match servable.as_slice() {
            [only] => Some((*only).to_owned()),
            several => several.iter().find(|name| **name == BUNDLED).map(ToString::to_string),
        }
    }

    /// The name that is configured for requests that name none, which may be an alias.
    pub(super) fn default_name(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// Names of the models that are loaded at start.
    pub(super) fn preloads(&self) -> impl Iterator<Item = &str> {
        self.entries.values().filter(|entry| entry.preload).map(|entry| entry.name.as_str())
    }

    /// The settings of this model alone.
    pub(super) fn entry(&self, model: &Model) -> Option<&ModelEntry> {
        self.entries.get(model.name.as_str())
    }

    /// What the fleet is told of a model, for which another one may guess.
    pub(super) fn manifest(&self, model: &Model, draft: Option<&Model>) -> Manifest {
        let entry = self.entry(model);
        let mut spec = self.spec(model);
        let drafts = draft.map(|draft| (draft, self.draft_spec(model, draft)));
        let compute = |spec: &WorkerSpec| match &drafts {
            Some((draft, told)) => Computed::of(model, spec).with_draft(draft, told, spec),
            None => Computed::of(model, spec),
        };
        let widths = self.widths(model, &spec, compute);
        spec.slots = widths.first().map_or(spec.slots, |most| most.slots);
        let Computed { footprint, growth, kv } = compute(&spec);
        if let Some((_, told)) = drafts {
            spec.speculation.get_or_insert_default().draft = Some(told);
        }
        Manifest {
            spec: WorkerSpec { prefixes: prefixes(&self.prefixes, kv.total()), ..spec },
            files: model.files.clone(),
            format: model.format.clone(),
            pin: entry.is_some_and(|entry| entry.pin),
            ttl: entry.and_then(|entry| entry.ttl).filter(|seconds| *seconds > 0).map(Duration::from_secs),
            modified: model.modified.max(draft.and_then(|draft| draft.modified)),
            size_bytes: draft
                .iter()
                .map(|draft| draft.size_bytes)
                .fold(model.size_bytes, u64::saturating_add),
            footprint,
            growth,
            fixed: entry.and_then(|entry| entry.memory).map(|size| Memory::ram(size.0)),
            widths,
        }
    }

    /// The numbers of slots that the model may be given, where that is up to the room there is and slots are what its
    /// worker holds.
    fn widths(
        &self,
        model: &Model,
        spec: &WorkerSpec,
        compute: impl Fn(&WorkerSpec) -> Computed,
    ) -> Vec<Width> {
        if self.slots(model) != Slots::Auto {
            return Vec::new();
        }
        let width = |slots| {
            let Computed { footprint, growth, kv } = compute(&WorkerSpec { slots, ..spec.clone() });
            let prefix_bytes = prefixes(&self.prefixes, kv.total()).map_or(0, |prefixes| prefixes.ram_bytes);
            Width { slots, footprint, growth, kv, prefix_bytes }
        };
        let widths = slots::NUMBERS.into_iter().map(width);
        widths.take_while(|width| width.kv.total() > 0).collect()
    }

    fn slots(&self, model: &Model) -> Slots {
        let of_format = || self.workers.get(&model.format).map(|worker| worker.slots).unwrap_or_default();
        self.entry(model).and_then(|entry| entry.slots).unwrap_or_else(of_format)
    }

    /// What a worker is told of a model where there is room for the usual slots.
    pub(crate) fn spec_of(&self, model: &Model) -> WorkerSpec {
        self.spec(model)
    }

    /// What a worker is told of a model, but for prefixes and a draft model, and with the usual slots where their number is
    /// up to the room there is.
    pub(super) fn spec(&self, model: &Model) -> WorkerSpec {
        let worker = self.workers.get(&model.format).cloned().unwrap_or_default();
        let entry = self.entry(model);
        // Who names a draft model wants guesses, whatever is the rule for others.
        let rule = if entry.is_some_and(|entry| entry.draft.is_some()) {
            Speculation::Lookup
        } else {
            worker.speculation
        };
        WorkerSpec {
            output_format: entry.and_then(|entry| entry.output_format.clone()).unwrap_or_default(),
            model: model.name.to_string(),
            path: model.path.to_string_lossy().into_owned(),
            root: model.root.to_string_lossy().into_owned(),
            socket: String::new(),
            slots: match self.slots(model) {
                Slots::Auto => slots::USUAL,
                Slots::Number(number) => number,
            },
            context_tokens: entry.and_then(|entry| entry.context).unwrap_or(worker.context),
            threads: worker.threads,
            options: worker
                .options
                .into_iter()
                .chain(entry.map(|entry| entry.options.clone()).unwrap_or_default())
                .collect(),
            prefixes: None,
            speculation: match entry.and_then(|entry| entry.speculation).unwrap_or(rule) {
                Speculation::Lookup => Some(SpeculationSpec { lookup_tokens: LOOKUP_TOKENS, draft: None }),
                Speculation::Off => None,
            },
            step_stretch: entry.and_then(|entry| entry.step_stretch).unwrap_or(worker.step_stretch),
        }
    }
}

fn elsewhere(import: Import) -> Elsewhere {
    match import {
        Import::Huggingface => Elsewhere::Huggingface,
        Import::Ollama => Elsewhere::Ollama,
        Import::LmStudio => Elsewhere::LmStudio,
        Import::LlamaCpp => Elsewhere::LlamaCpp,
    }
}

/// What a worker may keep of prefixes whose slots have these keys and values in all; in RAM never more than slots
/// hold. Nothing where there are none, or nobody knows.
fn prefixes(config: &PrefixesConfig, kv_bytes: u64) -> Option<PrefixSpec> {
    let (ram_bytes, file_bytes) = (config.ram.0.min(kv_bytes), config.file.0);
    // What goes to the file goes through RAM.
    (ram_bytes > 0).then(|| PrefixSpec { ram_bytes, file_bytes, fingerprint: Vec::new() })
}

#[cfg(test)]
mod tests {
    use impetus_config::Size;

    use super::*;

    #[test]
    fn prefixes_are_kept_of_who_has_keys_and_values() {
        let check = |ram: u64, file: u64, kv_bytes: u64, expected: Option<(u64, u64)>| {
            let config = PrefixesConfig { ram: Size(ram), file: Size(file), ..PrefixesConfig::default() };
            let got = prefixes(&config, kv_bytes).map(|spec| (spec.ram_bytes, spec.file_bytes));
            assert_eq!(got, expected, "{ram} {file} {kv_bytes}");
        };
        check(100, 200, 1000, Some((100, 200)));
        check(100, 200, 40, Some((40, 200)));
        check(0, 200, 40, None);
        check(100, 0, 40, Some((40, 0)));
        check(0, 0, 40, None);
        check(100, 200, 0, None);
    }
}
