//! Classifiers from local folders: a file `NAME.toml` among the models says where one lies and what its labels mean.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::model::worker;
use crate::{
    detect::{
        Detector,
        classifier::{Classifier, Model},
        sense::Sense,
    },
    nn::checkpoint::{Checkpoint, Scores},
    telemetry::Metrics,
};

#[derive(Deserialize)]
struct File {
    classifier: Option<Settings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Its signals are called by it, such as `NAME.jailbreak`.
    name: String,
    /// Of the checkpoint, beside the file.
    folder: PathBuf,
    #[serde(default)]
    scores: Scores,
    /// What its labels say, in Demur's words.
    labels: BTreeMap<String, String>,
}

/// The classifiers that the `.toml` files in `models` describe, in the order of the files' names.
///
/// # Errors
/// Which file is wrong, and what was expected.
pub(super) fn checkpoints(models: &Path, metrics: &Metrics) -> anyhow::Result<Vec<Arc<dyn Detector>>> {
    let Ok(entries) = std::fs::read_dir(models) else { return Ok(Vec::new()) };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    let mut detectors: Vec<Arc<dyn Detector>> = Vec::new();
    for path in files {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        let Some(settings) = file.classifier else { continue };
        let detector =
            detector(settings, models, metrics).with_context(|| format!("`{}`", path.display()))?;
        if detectors.iter().any(|other| other.name() == detector.name()) {
            bail!("`{}`: another classifier is called `{}` too", path.display(), detector.name());
        }
        detectors.push(detector);
    }
    Ok(detectors)
}

fn detector(settings: Settings, models: &Path, metrics: &Metrics) -> anyhow::Result<Arc<dyn Detector>> {
    let Settings { name, folder, scores, labels } = settings;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_name),
        "`name` is `{name}`, expected lower-case letters, digits and `_`"
    );
    let checkpoint = Checkpoint::load(&models.join(folder), scores)?;
    let known = checkpoint.labels();
    if let Some(label) = labels.keys().find(|label| !known.contains(label)) {
        bail!("`labels`: the checkpoint has no label `{label}`; it has: {}", known.join(", "));
    }
    let sense = |label: &String| labels.get(label).map(|says| says.parse::<Sense>()).transpose();
    let senses: Vec<Option<Sense>> =
        known.iter().map(sense).collect::<Result<_, _>>().with_context(|| {
            let all: Vec<&str> = Sense::all().map(Sense::as_str).collect();
            format!("`labels`: a label can say {}", all.join(", "))
        })?;
    ensure!(senses.iter().any(Option::is_some), "`labels` is empty: no label would be of any use");
    let model = Model::new(worker(checkpoint, metrics)?, senses);
    tracing::info!(name, "classifier loaded");
    // Names of detectors live as long as the process, and so do the few classifiers it loads.
    Ok(Arc::new(Classifier::named(Box::leak(name.into_boxed_str()), model)))
}
