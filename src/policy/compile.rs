//! From layers as they are written to a policy that can't be wrong. Every mistake is gathered, not the first.

mod cases;
mod fragments;
mod patterns;
mod rules;
mod warnings;

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};

use self::fragments::Fragments;
use super::{
    Catalog, Failures, Policy, Rule,
    condition::{Condition, Facts},
    error::{PolicyError, PolicyErrors, suggest},
    raw::{RawOnFailure, RawPolicy, Text},
    source::{Layer, Layers},
};
use crate::{
    message::{Direction, Place, Role},
    verdict::{
        Action, Hazard, InputMode, MediaMode, Mode, OnFailure, PolicyId, SignalInfo, SignalKind, StreamMode,
    },
};

/// The version of the format that this program reads.
const VERSION: u64 = 1;

/// The longest name of a policy or rule; they stand in headers.
const MAX_NAME: usize = 64;

/// Whether a policy or a rule acts.
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];

pub(super) fn policy(layers: &Layers, catalog: &Catalog) -> Result<Policy, PolicyErrors> {
    let mut compiler = Compiler {
        catalog,
        errors: Vec::new(),
        file: Arc::from(""),
        signals: catalog.signals.clone(),
        guidance: BTreeMap::new(),
        fragments: Fragments::default(),
        table: Vec::new(),
    };
    let policy = compiler.policy(layers);
    if compiler.errors.is_empty() { Ok(policy) } else { Err(PolicyErrors(compiler.errors)) }
}

struct Compiler<'a> {
    catalog: &'a Catalog,
    errors: Vec<PolicyError>,
    /// The file that is being read, for errors.
    file: Arc<str>,
    /// The catalog's signals and those of the policy's own patterns.
    signals: Vec<SignalInfo>,
    guidance: BTreeMap<String, String>,
    fragments: Fragments,
    table: Vec<Arc<str>>,
}

impl Compiler<'_> {
    fn policy(&mut self, layers: &Layers) -> Policy {
        let id = self.id(layers);
        for layer in layers {
            self.file = Arc::clone(&layer.file);
            self.version(layer);
            self.guidance.extend(layer.raw.guidance.clone());
            let fragments = &layer.raw.fragments;
            self.fragments.extend(fragments.iter().map(|(name, text)| (name.clone(), text.value.clone())));
        }
        let patterns = self.patterns(layers);
        let restore = layers.iter().rev().find_map(|layer| layer.raw.restore).unwrap_or(false);
        let mode = self.last_named(layers, "mode", &MODES, |raw| raw.mode.as_ref());
        let streams = StreamMode::ALL.map(|mode| (mode.as_str(), mode));
        let stream = self.last_named(layers, "stream", &streams, |raw| raw.stream.as_ref());
        let inputs = InputMode::ALL.map(|mode| (mode.as_str(), mode));
        let input = self.last_named(layers, "input", &inputs, |raw| raw.input.as_ref());
        let medias = MediaMode::ALL.map(|mode| (mode.as_str(), mode));
        let media = self.last_named(layers, "media", &medias, |raw| raw.media.as_ref());
        let failure = self.failures(layers);
        let rules = self.rules(layers, restore);
        let cases = layers.last().map(|layer| self.cases(layer, &rules)).unwrap_or_default();
        // Nothing is looked for that no rule asks about.
        let read_on = |direction| {
            let on = rules.iter().filter(|rule: &&Rule| rule.is_on(direction));
            on.flat_map(|rule| rule.reads().cloned()).collect()
        };
        let reads = Direction::ALL.map(read_on);
        let patterns = patterns.into_iter().filter(|pattern| self.table.contains(&pattern.signal)).collect();
        let warnings = layers.last().map(|layer| self.warnings(layer, &rules, &cases)).unwrap_or_default();
        Policy {
            id,
            description: layers.iter().rev().find_map(|layer| layer.raw.description.clone()),
            mode,
            stream,
            input,
            media,
            failure,
            rules,
            patterns,
            cases,
            warnings,
            sources: layers.iter().filter_map(|layer| layer.path.clone()).collect(),
            scores: self.table.iter().map(|name| self.is_score(name)).collect(),
            table: std::mem::take(&mut self.table),
            reads,
        }
    }

    /// The policy's name: its own, or that of its file.
    fn id(&mut self, layers: &Layers) -> PolicyId {
        let mut hasher = Sha256::new();
        for layer in layers {
            hasher.update((layer.text.len() as u64).to_le_bytes());
            hasher.update(&layer.text);
        }
        let hash = data_encoding::HEXLOWER.encode(&hasher.finalize()[..6]);
        let Some(last) = layers.last() else {
            return PolicyId { name: "none".into(), hash: hash.into() };
        };
        self.file = Arc::clone(&last.file);
        let stem = || {
            last.file
                .rsplit('/')
                .next()
                .and_then(|name| name.split('.').next())
                .unwrap_or("policy")
                .to_owned()
        };
        let name = last.raw.name.as_ref().map_or_else(stem, |name| self.checked_name(name));
        PolicyId { name: name.into(), hash: hash.into() }
    }

    /// A name that may stand in a header and in a metric's label.
    fn checked_name(&mut self, name: &Text) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.value.is_empty() || name.value.len() > MAX_NAME || !name.value.chars().all(plain) {
            let message = format!(
                "`{}` is no name: expected 1 to {MAX_NAME} letters, digits, `-`, `_` or `.`",
                name.value
            );
            self.error(name, message);
        }
        name.value.clone()
    }

    fn version(&mut self, layer: &Layer) {
        let version = &layer.raw.demur;
        if version.value != VERSION {
            let message =
                format!("version {} of the format is not known; expected `demur: {VERSION}`", version.value);
            self.error(version, message);
        }
    }

    /// A setting of one word: the last layer that names it decides.
    fn last_named<T: Copy + Default>(
        &mut self,
        layers: &Layers,
        what: &str,
        choices: &[(&str, T)],
        of: impl Fn(&RawPolicy) -> Option<&Text>,
    ) -> T {
        let named = layers.iter().rev().find_map(|layer| of(&layer.raw).map(|word| (layer, word)));
        named.map_or_else(T::default, |(layer, word)| {
            self.file = Arc::clone(&layer.file);
            self.one_of(word, what, choices)
        })
    }

    fn failures(&mut self, layers: &Layers) -> Failures {
        let mut failures = Failures::default();
        for layer in layers {
            self.file = Arc::clone(&layer.file);
            let Some(raw) = &layer.raw.on_failure else { continue };
            let entries = match &raw.value {
                RawOnFailure::All(all) => BTreeMap::from([("default".to_owned(), all.clone())]),
                RawOnFailure::Each(each) => each.clone(),
            };
            for (detector, outcome) in entries {
                let outcome = Spanned { value: outcome, referenced: raw.referenced, defined: raw.defined };
                let choices = [("open", OnFailure::Open), ("closed", OnFailure::Closed)];
                let outcome = self.one_of(&outcome, "outcome", &choices);
                if detector == "default" {
                    failures.default = outcome;
                } else if self.knows_detector(&detector) {
                    failures.each.insert(detector, outcome);
                } else {
                    let known = self.signals.iter().map(|signal| signal.detector);
                    let message = format!("unknown detector `{detector}`{}", suggest(&detector, known));
                    self.error(raw, message);
                }
            }
        }
        failures
    }

    fn knows_detector(&self, name: &str) -> bool {
        name == "pattern" || self.signals.iter().any(|signal| signal.detector == name)
    }

    /// One of a few words; the first choice stands in for a wrong one.
    fn one_of<T: Copy>(&mut self, found: &Text, what: &str, choices: &[(&str, T)]) -> T {
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == found.value) {
            return *value;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = suggest(&found.value, names.iter().copied());
        let message = format!("unknown {what} `{}`; expected {}{hint}", found.value, names.join(", "));
        self.error(found, message);
        choices[0].1
    }

    fn hazard(&mut self, name: &str, place: &Spanned<impl Sized>) -> Option<Hazard> {
        let hazard = Hazard::from_str(name).ok();
        if hazard.is_none() {
            let known = Hazard::ALL.iter().map(|hazard| hazard.as_str());
            self.error(place, format!("unknown hazard `{name}`{}", suggest(name, known)));
        }
        hazard
    }

    fn action(&mut self, found: &Text) -> Action {
        self.one_of(found, "action", &Action::ALL.map(|action| (action.as_str(), action)))
    }

    fn error<T>(&mut self, place: &Spanned<T>, message: String) {
        let (line, column) = (place.referenced.line(), place.referenced.column());
        self.errors.push(PolicyError { file: self.file.to_string(), line, column, message });
    }

    fn is_score(&self, name: &Arc<str>) -> bool {
        self.signals.iter().any(|signal| signal.name == *name && signal.kind == SignalKind::Score)
    }

    /// The place of a signal in the table of values.
    fn place_in_table(table: &mut Vec<Arc<str>>, signal: &Arc<str>) -> usize {
        table.iter().position(|known| known == signal).unwrap_or_else(|| {
            table.push(Arc::clone(signal));
            table.len() - 1
        })
    }

    fn condition(&mut self, when: &Text) -> Option<Condition> {
        let table = &mut self.table;
        let place_of = |signal: &Arc<str>| Self::place_in_table(table, signal);
        match Condition::compile(&when.value, &self.signals, place_of) {
            Ok(condition) => Some(condition),
            Err(error) => {
                let (line, column) = (when.referenced.line(), when.referenced.column());
                // The place within a condition is known when it stands on one line as it is.
                let single = !when.value.contains('\n');
                let column = if single { column + error.offset as u64 } else { column };
                self.errors.push(PolicyError {
                    file: self.file.to_string(),
                    line,
                    column,
                    message: error.message,
                });
                None
            }
        }
    }
}

/// What a condition comes to when nothing was seen, if it is the same wherever that is.
fn when_silent(condition: &Condition, signals: usize) -> Option<bool> {
    if ["language", "key", "chars"].iter().any(|fact| condition.reads(fact)) {
        return None;
    }
    let nothing = vec![0.0; signals];
    let mut outcomes = Vec::new();
    for role in Role::ALL {
        for place in Place::ALL {
            for direction in Direction::ALL {
                let (role, place, direction) = (role.as_str(), place.as_str(), direction.as_str());
                let facts = Facts { role, place, direction, language: "", key: "", chars: 0 };
                outcomes.push(condition.holds(&nothing, &facts));
            }
        }
    }
    let first = *outcomes.first()?;
    outcomes.iter().all(|outcome| *outcome == first).then_some(first)
}
