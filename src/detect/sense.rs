//! What a classifier can say of a text, in Demur's words, and the signals that one detector makes of them.

use std::{fmt, ops::Range, str::FromStr, sync::Arc};

use crate::verdict::{Finding, Hazard, SignalInfo, SignalKind, UnknownName};

/// The part of a signal's name behind the detector's, such as `harm` in `llama_guard.harm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sense {
    /// Harm of any kind.
    Harm,
    /// An attack on the model's rules by whoever talks to it.
    Jailbreak,
    /// Instructions that are hidden in a document or a tool's result.
    Injection,
    /// Rude, insulting or profane words.
    Toxicity,
    /// The text declines to answer.
    Refusal,
    /// Harm of this kind.
    Hazard(Hazard),
}

impl Sense {
    /// Every sense.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = [Self::Harm, Self::Jailbreak, Self::Injection, Self::Toxicity, Self::Refusal];
        own.into_iter().chain(Hazard::ALL.iter().copied().map(Self::Hazard))
    }

    /// The name used in signals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Harm => "harm",
            Self::Jailbreak => "jailbreak",
            Self::Injection => "injection",
            Self::Toxicity => "toxicity",
            Self::Refusal => "refusal",
            Self::Hazard(hazard) => hazard.as_str(),
        }
    }

    /// One line that says what it means.
    pub fn about(self) -> &'static str {
        match self {
            Self::Harm => "Harm of any kind.",
            Self::Jailbreak => "An attempt to talk the model out of its rules.",
            Self::Injection => "Instructions to the model that hide in a document or a tool's result.",
            Self::Toxicity => "Rude, insulting or profane words.",
            Self::Refusal => "The text declines to answer.",
            Self::Hazard(hazard) => hazard.about(),
        }
    }

    /// The hazard it speaks of, where there is one.
    pub fn hazard(self) -> Option<Hazard> {
        match self {
            Self::Hazard(hazard) => Some(hazard),
            _ => None,
        }
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Sense {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::all().find(|sense| sense.as_str() == name).ok_or_else(|| UnknownName(name.into()))
    }
}

/// The signals of one detector: its name, a dot, and what it can say.
#[derive(Clone, Debug)]
pub struct Namespace {
    detector: &'static str,
    names: Vec<(Sense, Arc<str>)>,
}

impl Namespace {
    /// The signals of this detector, each once.
    pub fn new(detector: &'static str, senses: impl IntoIterator<Item = Sense>) -> Self {
        let mut names: Vec<(Sense, Arc<str>)> = Vec::new();
        for sense in senses {
            if names.iter().all(|(known, _)| *known != sense) {
                names.push((sense, format!("{detector}.{sense}").into()));
            }
        }
        Self { detector, names }
    }

    /// The detector's name.
    pub fn detector(&self) -> &'static str {
        self.detector
    }

    /// What policies and documentation are told.
    pub fn infos(&self) -> Vec<SignalInfo> {
        let info = |(sense, name): &(Sense, Arc<str>)| SignalInfo {
            name: Arc::clone(name),
            kind: SignalKind::Score,
            detector: self.detector,
            hazard: sense.hazard(),
            about: sense.about().into(),
        };
        self.names.iter().map(info).collect()
    }

    /// The name of a signal; nothing for a sense that is not among this detector's.
    pub fn name(&self, sense: Sense) -> Option<&Arc<str>> {
        self.names.iter().find(|(known, _)| *known == sense).map(|(_, name)| name)
    }

    /// A finding; nothing for a sense that is not among this detector's.
    pub fn finding(
        &self,
        sense: Sense,
        score: f32,
        segment: usize,
        span: Option<Range<usize>>,
    ) -> Option<Finding> {
        let signal = Arc::clone(self.name(sense)?);
        Some(Finding { signal, detector: self.detector, score, segment, span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_are_unique() {
        let names: Vec<&str> = Sense::all().map(Sense::as_str).collect();
        assert_eq!(names.len(), 5 + Hazard::ALL.len());
        for sense in Sense::all() {
            assert_eq!(sense.as_str().parse::<Sense>().unwrap(), sense);
        }
        assert!("malice".parse::<Sense>().is_err());
    }

    #[test]
    fn a_namespace_knows_its_own_signals_only() {
        let space = Namespace::new("llama", [Sense::Harm, Sense::Hazard(Hazard::Hate), Sense::Harm]);
        let infos = space.infos();
        let names: Vec<&str> = infos.iter().map(|info| &*info.name).collect();
        assert_eq!(names, ["llama.harm", "llama.hate"]);
        assert_eq!(infos[1].hazard, Some(Hazard::Hate));
        assert!(space.finding(Sense::Refusal, 1.0, 0, None).is_none());
    }
}
