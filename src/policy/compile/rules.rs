//! Rules, with every name they use looked up.

use std::{collections::BTreeSet, sync::Arc};

use serde_saphyr::Spanned;

use super::{Compiler, Layers, MODES, when_silent};
use crate::{
    message::Direction,
    policy::{
        Rule,
        error::suggest,
        raw::{RawRule, Text},
    },
    verdict::{Action, Hazard, Mode, NoticeAt},
};

impl Compiler<'_> {
    /// The rules of all layers; one with the id of an earlier layer's takes its place.
    pub(super) fn rules(&mut self, layers: &Layers, restore: bool) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for layer in layers {
            self.file = Arc::clone(&layer.file);
            let mut seen = BTreeSet::new();
            for raw in &layer.raw.rules {
                if !seen.insert(raw.value.id.value.clone()) {
                    let message = format!("two rules are named `{}`", raw.value.id.value);
                    self.error(&raw.value.id, message);
                }
                let Some(rule) = self.rule(raw, restore) else { continue };
                match rules.iter_mut().find(|known| known.id == rule.id) {
                    Some(known) => *known = rule,
                    None => rules.push(rule),
                }
            }
        }
        for rule in &mut rules {
            rule.when_silent = when_silent(&rule.condition, self.table.len());
        }
        rules
    }

    fn rule(&mut self, raw: &Spanned<RawRule>, restore: bool) -> Option<Rule> {
        let rule = &raw.value;
        let id = self.checked_name(&rule.id);
        let action = self.action(&rule.action);
        let directions = self.directions(&rule.on);
        let reply = rule.reply.as_ref().map(|reply| {
            let known = &self.catalog.replies;
            self.template(reply, "reply", known)
        });
        let notice = rule.notice.as_ref().map(|notice| {
            let known = &self.catalog.notices;
            self.template(notice, "notice", known)
        });
        let notice_at = rule.notice_at.as_ref().map_or(NoticeAt::default(), |at| {
            self.one_of(at, "place", &[("before", NoticeAt::Before), ("after", NoticeAt::After)])
        });
        let hazard = rule.hazard.as_ref().and_then(|hazard| self.hazard(&hazard.value, hazard));
        let mode = rule.mode.as_ref().map_or(Mode::Enforce, |mode| self.one_of(mode, "mode", &MODES));
        let guidance = self.guidance(raw, action);
        self.misplaced(rule, action);
        let condition = self.condition(&rule.when)?;
        let signals: Vec<_> = condition.signals().map(|(name, _)| Arc::clone(name)).collect();
        Some(Rule {
            id: id.into(),
            about: rule.about.clone(),
            action,
            mode,
            hazard: hazard.or_else(|| self.hazard_of(&signals)),
            reply,
            notice,
            notice_at,
            guidance,
            restore: rule.restore.unwrap_or(restore),
            directions,
            condition,
            // Known when the table of signals is complete.
            when_silent: None,
        })
    }

    fn directions(&mut self, on: &Spanned<Vec<Text>>) -> Vec<Direction> {
        if on.value.is_empty() {
            self.error(on, "`on` is empty; expected input, output or both".to_owned());
        }
        let choices = Direction::ALL.map(|direction| (direction.as_str(), direction));
        on.value.iter().map(|direction| self.one_of(direction, "direction", &choices)).collect()
    }

    fn template(&mut self, name: &Text, what: &str, known: &BTreeSet<String>) -> Arc<str> {
        if !known.contains(&name.value) {
            let hint = suggest(&name.value, known.iter().map(String::as_str));
            self.error(name, format!("unknown {what} `{}`{hint}", name.value));
        }
        name.value.as_str().into()
    }

    /// The guidance of a steering rule: a named one, or the text itself.
    fn guidance(&mut self, raw: &Spanned<RawRule>, action: Action) -> Option<Arc<str>> {
        match &raw.value.guidance {
            Some(text) => Some(self.guidance.get(&text.value).unwrap_or(&text.value).as_str().into()),
            None if action == Action::Steer => {
                self.error(raw, format!("the rule `{}` steers without `guidance`", raw.value.id.value));
                None
            }
            None => None,
        }
    }

    /// Fields that do nothing for this action are mistakes.
    fn misplaced(&mut self, rule: &RawRule, action: Action) {
        let fields = [
            (&rule.reply, "reply", Action::Refuse),
            (&rule.notice, "notice", Action::Warn),
            (&rule.notice_at, "notice_at", Action::Warn),
            (&rule.guidance, "guidance", Action::Steer),
        ];
        for (field, name, of) in fields {
            if let Some(text) = field.as_ref().filter(|_| action != of) {
                self.error(text, format!("`{name}` is for `do: {of}`; this rule does `{action}`"));
            }
        }
    }

    /// The hazard that a rule's signals speak of, when they agree.
    fn hazard_of(&self, signals: &[Arc<str>]) -> Option<Hazard> {
        let of = |name: &Arc<str>| self.signals.iter().find(|signal| signal.name == *name)?.hazard;
        let hazards: BTreeSet<Hazard> = signals.iter().filter_map(of).collect();
        match hazards.len() {
            1 => hazards.first().copied(),
            _ => None,
        }
    }
}
