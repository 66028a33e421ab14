//! What lies in the folders of models.

use std::sync::Arc;

use impetus_models::{Catalog, Model};

use super::{Finding, Patient, store};
use crate::{aliases::AliasFile, catalog::Library};

/// The most problems of one kind that are told one by one.
const MOST: usize = 20;

pub(super) async fn findings(patient: &Patient) -> Vec<Finding> {
    const NAME: &str = "models";
    let swapped = AliasFile::new(&patient.places.state_dir).read();
    match Library::new(&patient.config, patient.places.bundled_models(), swapped).map(Arc::new) {
        Ok(library) => {
            library.set_stored(store::places(patient)).await;
            of(&library.catalog())
        }
        Err(error) => vec![Finding::error(NAME, error, "correct the configuration")],
    }
}

fn of(catalog: &Catalog) -> Vec<Finding> {
    let n_servable = catalog.models().iter().filter(|model| model.is_servable()).count();
    let found = match n_servable {
        0 => Finding::warning(
            "models",
            "none",
            "put one into a folder of models.dirs, or fetch one with `supervisorctl pull`",
        ),
        n => Finding::ok("models", format!("{n} can be served")),
    };
    let broken = catalog.models().iter().filter_map(model).take(MOST);
    let problems = catalog.problems().iter().take(MOST).map(|problem| {
        Finding::warning("models.dirs", problem, "correct that, or take it out of models.dirs")
    });
    std::iter::once(found).chain(broken).chain(problems).collect()
}

fn model(model: &Model) -> Option<Finding> {
    let (name, path) = (&model.name, model.path.display());
    if let Some(broken) = model.broken() {
        return Some(Finding::warning(
            format!("model {name}"),
            format!("{path}: {broken}"),
            "fetch it again, or remove it",
        ));
    }
    let other = model.duplicate_of.as_ref()?;
    let seen = format!("{path} is not served: {} has this name already", other.display());
    Some(Finding::warning(format!("model {name}"), seen, "rename one of them"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use impetus_models::Place;

    use super::*;

    #[test]
    fn broken_models_and_links_that_lead_out_are_told() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let scan = || {
            let place = Place { path: dir.path().into(), name: None, follow_links: false };
            super::super::text(&of(&Catalog::scan(&[place], &[])))
        };
        assert!(scan().contains("put one into a folder of models.dirs"));
        fs::write(dir.path().join("torn.gguf"), "GGUF").unwrap();
        fs::write(outside.path().join("far.gguf"), "GGUF").unwrap();
        std::os::unix::fs::symlink(outside.path().join("far.gguf"), dir.path().join("far.gguf")).unwrap();
        let text = scan();
        assert!(text.contains("model torn") && text.contains("fetch it again"), "{text}");
        assert!(text.contains("leads out of its models folder"), "{text}");
    }
}
