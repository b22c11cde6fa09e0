//! Settings of guards behind other servers.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{
    detect::external::{Family, granite_guardian},
    upstream::UpstreamConfig,
};

/// A guard behind another server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// Which guard it is.
    pub kind: Family,
    /// The server, which applies the guard's chat template.
    pub upstream: UpstreamConfig,
    /// The model that it is asked for.
    pub model: String,
    /// It is asked only when the guard model's `guard.harm` lies from the first to the second.
    pub between: Option<(f32, f32)>,
    /// Granite Guardian's risks, each a request; `harm` and `jailbreak` where none are named.
    #[serde(default)]
    pub risks: Vec<String>,
    /// A file with the judge's instructions; Demur's own where none is named.
    pub prompt_file: Option<PathBuf>,
    /// The most tokens of an answer, for guards that think before they answer.
    pub max_tokens: Option<u32>,
}

impl GuardConfig {
    /// What is wrong with it, in words for the person who wrote it.
    pub(super) fn check(&self) -> Result<(), String> {
        let kind = self.kind.as_str();
        let wrong = |what: String| Err(format!("guard `{kind}`: {what}"));
        if let Some((low, high)) = self.between
            && !(0.0 <= low && low <= high && high <= 1.0)
        {
            return wrong(format!(
                "`between` is [{low}, {high}], expected two scores from 0 to 1, the lower one first"
            ));
        }
        if !self.risks.is_empty() && self.kind != Family::GraniteGuardian {
            return wrong("`risks` is for `granite_guardian` only".to_owned());
        }
        if self.prompt_file.is_some() && self.kind != Family::Judge {
            return wrong("`prompt_file` is for `judge` only".to_owned());
        }
        for risk in &self.risks {
            if risk.parse::<granite_guardian::Risk>().is_err() {
                let known: Vec<_> = granite_guardian::RISKS.iter().map(|risk| risk.name()).collect();
                return wrong(format!("unknown risk `{risk}`; known: {}", known.join(", ")));
            }
        }
        Ok(())
    }
}
