//! The guard model: where it lies, and the thread that runs it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crate::{
    config,
    detect::{
        Detector,
        classifier::{Classifier, Model},
    },
    nn::{
        classify::{self, Counters, Limits},
        encoder::{Encoder, Engine},
    },
    telemetry::Metrics,
};

/// Beside the model for English, the one for every other language.
const OTHER_LANGUAGES: &str = "multilingual";

/// The guard model's detector; `None` where the settings say `none`, or name no folder and none is in the usual places.
///
/// # Errors
/// A file of the model is missing, or is not what was shipped.
pub fn guard_model(
    settings: &config::GuardModel,
    metrics: &Metrics,
) -> anyhow::Result<Option<Arc<dyn Detector>>> {
    let Some(folder) = find(settings) else { return Ok(None) };
    let english = start(&folder, settings.threads, metrics)?;
    let other = folder.join(OTHER_LANGUAGES);
    let other = other.is_dir().then(|| start(&other, settings.threads, metrics)).transpose()?;
    Ok(Some(Arc::new(Classifier::new(english, other))))
}

fn start(folder: &Path, threads: usize, metrics: &Metrics) -> anyhow::Result<Model> {
    let encoder =
        Encoder::load(folder, Engine::Fast, threads).with_context(|| "the guard model can't be loaded")?;
    let heads = encoder.config().heads.clone();
    tracing::info!(model = encoder.config().name, hash = encoder.digest().short(), "guard model loaded");
    let counters = Counters {
        cached: metrics.guard_model_cached.clone(),
        pass_tokens: metrics.guard_model_pass_tokens.clone(),
    };
    let worker = classify::Classifier::start(encoder, Limits::default(), counters)?;
    Ok(Model::new(worker, &heads))
}

/// The folder that the settings name, or the first of the usual places that exists.
fn find(settings: &config::GuardModel) -> Option<PathBuf> {
    match &settings.folder {
        Some(folder) if folder.as_os_str() == "none" => return None,
        Some(folder) => return Some(folder.clone()),
        None => {}
    }
    let mut places = vec![settings.models.join("guard")];
    if let Ok(program) = std::env::current_exe() {
        // Beside the program, and at the root of the checkout that it was built in.
        let above = program.ancestors().skip(1).take(4);
        places.extend(above.map(|folder| folder.join("models/guard")));
    }
    places.push("/usr/share/demur/models/guard".into());
    places.into_iter().find(|place| place.is_dir())
}
