//! The guard that a command judges with.

use std::{path::PathBuf, sync::Arc};

use crate::{
    app::Loader,
    config,
    gateway::Rules,
    guard::{Detectors, Guard, Limits},
    telemetry::Metrics,
};

/// Which policy, and which texts.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// The policy: a shipped one's name (default, strict, children, workplace, observe) or a file
    #[arg(short, long, env = "DEMUR_POLICY", value_name = "POLICY", default_value = "default")]
    policy: String,

    /// A folder of replies and notices that replace the shipped ones, key by key
    #[arg(long, env = "DEMUR_REPLIES", value_name = "DIR")]
    replies: Option<PathBuf>,

    /// The longest that all detectors of one exchange may take
    #[arg(long, env = "DEMUR_GUARD_TIMEOUT", value_name = "TIME", default_value = "2s")]
    guard_timeout: config::Period,
}

impl GuardArgs {
    /// The policy's guard, and the texts of its replies.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        load(&self.policy, self.replies.clone(), Limits { deadline: self.guard_timeout.0 })
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
pub(super) fn load(policy: &str, replies: Option<PathBuf>, limits: Limits) -> anyhow::Result<Loaded> {
    let names = config::Rules { policy: policy.to_owned(), routes: Vec::new(), replies };
    let rules = Loader::new(names, Detectors::builtin(), limits, Arc::new(Metrics::new())).load()?;
    Ok(Loaded { rules })
}
