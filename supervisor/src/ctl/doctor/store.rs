//! The models that were fetched, sent or made: their folder, and what is wrong with them.

use std::{fs, path::PathBuf};

use impetus_models::{ModelName, Place};
use impetus_proto::store::Stored;

use super::{Finding, Patient, places};

pub(super) fn findings(patient: &Patient) -> Vec<Finding> {
    let folder = patient.config.store_dir();
    let mut findings = vec![places::folder("store", &folder, "models.store")];
    findings.push(places::room("room for the store", &folder));
    let broken = patient.stored.iter().flatten().filter(|model| !model.broken.is_empty());
    findings.extend(broken.map(damaged));
    findings
}

/// Where its models are. A server that runs knows which of them are damaged; without one, the folders have to do.
pub(super) fn places(patient: &Patient) -> Vec<Place> {
    let place = |path: PathBuf, name: &str| {
        let name = ModelName::new(name).ok()?;
        Some(Place { path, name: Some(name), follow_links: false })
    };
    if let Some(stored) = &patient.stored {
        let sound = stored.iter().filter(|model| model.broken.is_empty());
        return sound.filter_map(|model| place(model.path.clone().into(), &model.name)).collect();
    }
    // That it cannot be read is found with the folder.
    let entries = fs::read_dir(patient.config.store_dir()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| place(entry.path(), entry.file_name().to_str()?)).collect()
}

fn damaged(model: &Stored) -> Finding {
    let advice = format!("pull it again, or remove it: supervisorctl rm {}", model.name);
    Finding::warning(format!("model {}", model.name), format!("{}: {}", model.path, model.broken), advice)
}
