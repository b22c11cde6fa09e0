//! From findings to a verdict: pure, total, and cheap. All rules are evaluated, the strongest action wins,
//! redactions add up; the order of rules in a file never matters.

use std::{ops::Range, sync::Arc};

use super::{Policy, Rule, condition::Facts};
use crate::{
    message::{Direction, Segment},
    verdict::{
        Action, Coverage, Failure, Finding, Hazard, MediaMode, Mode, NoticeAt, OnFailure, Redaction, RuleHit,
        Verdict,
    },
};

/// The rule that stands in a verdict when a detector failed and the policy is closed to that.
pub const GUARD_UNAVAILABLE: &str = "guard-unavailable";

/// The reply template of that rule.
const UNAVAILABLE_REPLY: &str = "unavailable";

/// The rule that stands in a verdict when the policy refuses images, audio and files or takes them out.
pub const MEDIA: &str = "media";

/// What is known about an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Which way the texts travel.
    pub direction: Direction,
    /// The texts.
    pub segments: &'a [Segment],
    /// The language of each (ISO 639-1); may be empty when no rule asks.
    pub languages: &'a [Option<Arc<str>>],
    /// The name of the caller's API key, when it has one.
    pub key: Option<&'a str>,
    /// What the detectors saw.
    pub findings: &'a [Finding],
    /// Which detectors did not judge.
    pub failures: &'a [Failure],
    /// How many images, audio and files stand beside the texts.
    pub media: usize,
}

impl Policy {
    /// Decides.
    pub fn judge(&self, evidence: Evidence<'_>) -> Verdict {
        let tables = self.tables(&evidence);
        let mut hits: Vec<RuleHit> = Vec::new();
        let mut redactions = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.is_on(evidence.direction)) {
            let segments: Vec<usize> = (0..evidence.segments.len())
                .filter(|&i| self.matches(rule, &evidence, i, tables[i].as_deref()))
                .collect();
            if segments.is_empty() {
                continue;
            }
            if rule.action == Action::Redact && self.enforces(rule) {
                redactions.extend(taken_out(rule, &evidence, &segments));
            }
            hits.push(self.hit(rule, segments));
        }
        let failures: Vec<(Failure, OnFailure)> = evidence
            .failures
            .iter()
            .map(|failure| (failure.clone(), self.on_failure(failure.detector)))
            .collect();
        if failures.iter().any(|(_, outcome)| *outcome == OnFailure::Closed) {
            hits.push(self.built_in(GUARD_UNAVAILABLE, Action::Refuse, UNAVAILABLE_REPLY));
        }
        match self.media {
            _ if evidence.media == 0 => {}
            MediaMode::Pass => {}
            MediaMode::Refuse => hits.push(self.built_in(MEDIA, Action::Refuse, MEDIA)),
            MediaMode::Strip => hits.push(self.built_in(MEDIA, Action::Redact, MEDIA)),
        }
        // Strongest first. Within an action someone in need comes before all else, since the first one chooses the words
        // of the reply; then those that say what they are about (texts before
        // media); then the id decides, not the place in a file.
        let not_in_need = |hit: &RuleHit| hit.hazard != Some(Hazard::SuicideSelfHarm);
        let unnamed = |hit: &RuleHit| hit.hazard.is_none() && hit.reply.is_none() || &*hit.rule == MEDIA;
        hits.sort_by(|a, b| {
            let by_action = b.action.cmp(&a.action).then(not_in_need(a).cmp(&not_in_need(b)));
            by_action.then(unnamed(a).cmp(&unnamed(b))).then_with(|| a.rule.cmp(&b.rule))
        });
        let strongest = |enforced_only: bool| {
            let hits = hits.iter().filter(|hit| !enforced_only || hit.mode == Mode::Enforce);
            hits.map(|hit| hit.action).max().unwrap_or_default()
        };
        let characters = evidence.segments.iter().map(|segment| segment.text.chars().count()).sum();
        let judged = if failures.is_empty() { characters } else { 0 };
        let action = strongest(true);
        let goes_on = self.media_in_force() == MediaMode::Pass && action != Action::Refuse;
        let media = if goes_on { evidence.media } else { 0 };
        Verdict {
            direction: evidence.direction,
            policy: self.id.clone(),
            mode: self.mode,
            action,
            would: strongest(false),
            redactions: merge(redactions),
            hits,
            findings: evidence.findings.to_vec(),
            failures,
            coverage: Coverage { characters, judged, media },
        }
    }

    /// For each segment the table of its signals, or nothing when none that a rule reads was seen.
    fn tables(&self, evidence: &Evidence<'_>) -> Vec<Option<Vec<f64>>> {
        let mut tables: Vec<Option<Vec<f64>>> = vec![None; evidence.segments.len()];
        for finding in evidence.findings {
            let Some(place) = self.table.iter().position(|signal| *signal == finding.signal) else {
                continue;
            };
            let Some(table) = tables.get_mut(finding.segment) else { continue };
            let value = &mut table.get_or_insert_with(|| vec![0.0; self.table.len()])[place];
            if self.scores[place] {
                *value = value.max(f64::from(finding.score));
            } else {
                *value += 1.0;
            }
        }
        tables
    }

    fn matches(&self, rule: &Rule, evidence: &Evidence<'_>, i: usize, table: Option<&[f64]>) -> bool {
        let seen = |table: &[f64]| rule.condition.signals().any(|(_, place)| table[place] != 0.0);
        if let Some(silent) = rule.when_silent.filter(|_| !table.is_some_and(seen)) {
            return silent;
        }
        let segment = &evidence.segments[i];
        let facts = Facts {
            role: segment.role.as_str(),
            place: segment.place.as_str(),
            direction: evidence.direction.as_str(),
            language: evidence.languages.get(i).and_then(Option::as_deref).unwrap_or_default(),
            key: evidence.key.unwrap_or_default(),
            chars: if rule.condition.reads("chars") { segment.text.chars().count() } else { 0 },
        };
        match table {
            Some(table) => rule.condition.holds(table, &facts),
            None => rule.condition.holds(&[], &facts),
        }
    }

    pub(super) fn enforces(&self, rule: &Rule) -> bool {
        self.mode == Mode::Enforce && rule.mode == Mode::Enforce
    }

    fn hit(&self, rule: &Rule, segments: Vec<usize>) -> RuleHit {
        RuleHit {
            rule: Arc::clone(&rule.id),
            action: rule.action,
            mode: if self.enforces(rule) { Mode::Enforce } else { Mode::Shadow },
            hazard: rule.hazard,
            segments,
            reply: rule.reply.clone(),
            notice: rule.notice.clone(),
            notice_at: rule.notice_at,
            guidance: rule.guidance.clone(),
        }
    }

    fn built_in(&self, rule: &str, action: Action, reply: &str) -> RuleHit {
        RuleHit {
            rule: rule.into(),
            action,
            mode: self.mode,
            hazard: None,
            segments: Vec::new(),
            reply: Some(reply.into()),
            notice: None,
            notice_at: NoticeAt::default(),
            guidance: None,
        }
    }
}

/// The spans of everything that a redacting rule's signals saw in the segments where it matched.
fn taken_out<'a>(
    rule: &'a Rule,
    evidence: &Evidence<'a>,
    segments: &'a [usize],
) -> impl Iterator<Item = Redaction> + use<'a> {
    let of_rule = move |finding: &&Finding| {
        segments.contains(&finding.segment) && rule.reads().any(|signal| *signal == finding.signal)
    };
    evidence.findings.iter().filter(of_rule).filter_map(|finding| {
        let span = finding.span.clone()?;
        Some(Redaction {
            segment: finding.segment,
            span,
            signal: Arc::clone(&finding.signal),
            restore: rule.restore,
        })
    })
}

/// In order of place and without overlap: where spans overlap, all of it goes, under the name of the longest.
/// It comes back only if every part of it may.
fn merge(mut redactions: Vec<Redaction>) -> Vec<Redaction> {
    let key = |r: &Redaction| (r.segment, r.span.start, std::cmp::Reverse(r.span.end), Arc::clone(&r.signal));
    redactions.sort_by_key(key);
    let length = |span: &Range<usize>| span.end - span.start;
    let mut merged: Vec<(Redaction, usize)> = Vec::new();
    for next in redactions.into_iter().filter(|r| r.span.start < r.span.end) {
        match merged.last_mut() {
            Some((last, longest)) if last.segment == next.segment && next.span.start < last.span.end => {
                if length(&next.span) > *longest {
                    *longest = length(&next.span);
                    last.signal = next.signal;
                }
                last.span.end = last.span.end.max(next.span.end);
                last.restore &= next.restore;
            }
            _ => {
                let longest = length(&next.span);
                merged.push((next, longest));
            }
        }
    }
    merged.into_iter().map(|(redaction, _)| redaction).collect()
}
