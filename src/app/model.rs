//! The guard model: where it lies, and the thread that runs it.

use std::{path::Path, sync::Arc};

use anyhow::Context;

use super::checkpoints::checkpoints;
use crate::{
    config,
    detect::{
        Detector,
        classifier::{Classifier, Model},
    },
    guard::Detectors,
    nn::{
        classify::{self, Counters, Limits},
        encoder::{Encoder, Engine},
    },
    telemetry::Metrics,
};

/// Beside the model for English, the one for every other language.
const OTHER_LANGUAGES: &str = "multilingual";

/// What looks at texts without asking anybody: the built-in detectors, classifiers from local folders, and the guard
/// model, which is given beside them, too.
///
/// # Errors
/// A file of a model is missing, or is not what is expected.
pub fn detectors(
    settings: &config::GuardModel,
    metrics: &Metrics,
) -> anyhow::Result<(Detectors, Option<Arc<dyn Detector>>)> {
    let mut detectors = Detectors::builtin();
    for checkpoint in checkpoints(&settings.models, metrics)? {
        detectors.add(checkpoint)?;
    }
    let model = guard_model(settings, metrics)?;
    model.iter().for_each(|model| detectors.push(Arc::clone(model)));
    Ok((detectors, model))
}

/// The guard model's detector; `None` where the settings say `none`, or name no folder and none is in the usual places.
///
/// # Errors
/// A file of the model is missing, or is not what was shipped.
fn guard_model(
    settings: &config::GuardModel,
    metrics: &Metrics,
) -> anyhow::Result<Option<Arc<dyn Detector>>> {
    let Some(folder) = settings.find() else { return Ok(None) };
    let english = start(&folder, settings.threads, metrics)?;
    let other = folder.join(OTHER_LANGUAGES);
    let other = other.is_dir().then(|| start(&other, settings.threads, metrics)).transpose()?;
    Ok(Some(Arc::new(Classifier::guard(english, other, metrics.guard_model_second_opinions.clone()))))
}

fn start(folder: &Path, threads: usize, metrics: &Metrics) -> anyhow::Result<Model> {
    let encoder =
        Encoder::load(folder, Engine::Fast, threads).with_context(|| "the guard model can't be loaded")?;
    // A head that is none of Demur's is of no interest.
    let senses = encoder.config().heads.iter().map(|head| head.parse().ok()).collect();
    tracing::info!(model = encoder.config().name, hash = encoder.digest().short(), "guard model loaded");
    Ok(Model::new(worker(encoder, metrics)?, senses))
}

/// The thread of a network.
pub(super) fn worker(
    network: impl classify::Network + 'static,
    metrics: &Metrics,
) -> anyhow::Result<classify::Classifier> {
    let counters = Counters {
        cached: metrics.guard_model_cached.clone(),
        pass_tokens: metrics.guard_model_pass_tokens.clone(),
    };
    classify::Classifier::start(network, Limits::default(), counters)
}
