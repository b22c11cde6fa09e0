//! The guard that a command judges with.

use std::{path::PathBuf, sync::Arc};

use crate::{
    app::{self, Loader},
    config,
    gateway::Rules,
    guard::{Detectors, Guard, Limits},
    nn::threads,
    telemetry::Metrics,
};

/// Which policy, and which texts.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// The policy: a shipped one's name (default, patterns, strict, children, workplace, observe) or a file
    #[arg(short, long, env = "DEMUR_POLICY", value_name = "POLICY", default_value = "default")]
    policy: String,

    /// A folder of replies and notices that replace the shipped ones, key by key
    #[arg(long, env = "DEMUR_REPLIES", value_name = "DIR")]
    replies: Option<PathBuf>,

    /// The longest that all detectors of one exchange may take
    #[arg(long, env = "DEMUR_GUARD_TIMEOUT", value_name = "TIME", default_value = "2s")]
    guard_timeout: config::Period,

    #[command(flatten)]
    model: ModelArgs,
}

/// The guard model that a command judges with.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// Where models lie on disk
    #[arg(long, env = "DEMUR_MODELS", value_name = "DIR", default_value = "models")]
    models: PathBuf,

    /// The folder of the guard model, or `none` [default: guard in DEMUR_MODELS, or beside the program]
    #[arg(long, env = "DEMUR_GUARD_MODEL", value_name = "DIR")]
    guard_model: Option<PathBuf>,

    /// Threads of each network of the guard model
    #[arg(long, env = "DEMUR_GUARD_THREADS", value_name = "N", default_value_t = threads::of_guard())]
    guard_threads: usize,
}

impl ModelArgs {
    /// What looks at texts, without guards behind servers.
    pub(super) fn detectors(&self, metrics: &Metrics) -> anyhow::Result<Detectors> {
        let settings = config::GuardModel {
            folder: self.guard_model.clone(),
            models: self.models.clone(),
            threads: self.guard_threads,
        };
        Ok(app::detectors(&settings, metrics)?.0)
    }
}

impl GuardArgs {
    /// The policy's guard, and the texts of its replies.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        load(&self.policy, self.replies.clone(), Limits { deadline: self.guard_timeout.0 }, &self.model)
    }
}

/// A guard outside of a gateway.
pub(super) struct Loaded {
    rules: Rules,
}

impl Loaded {
    /// The guard.
    pub(super) fn guard(&self) -> &Arc<Guard> {
        self.rules.guards.fallback()
    }

    /// What users read.
    pub(super) fn replies(&self) -> &crate::guard::reply::Replies {
        &self.rules.replies
    }
}

/// The guard of the policy of that name or in that file.
pub(super) fn load(
    policy: &str,
    replies: Option<PathBuf>,
    limits: Limits,
    model: &ModelArgs,
) -> anyhow::Result<Loaded> {
    let metrics = Arc::new(Metrics::new());
    let detectors = model.detectors(&metrics)?;
    let names = config::Rules { policy: policy.to_owned(), routes: Vec::new(), replies };
    let rules = Loader::new(names, detectors, limits, metrics).load()?;
    Ok(Loaded { rules })
}
