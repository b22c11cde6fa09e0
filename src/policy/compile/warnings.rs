//! What looks like a mistake in a policy that compiles: parts that nothing uses, rules that no case tests, that
//! hold for every text or for none. Only the policy's own file is looked at, not those it extends.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::Compiler;
use crate::{
    policy::{
        Case, Rule,
        condition::{Condition, Facts},
        error::PolicyError,
        raw::RawSearch,
        source::Layer,
    },
    verdict::Action,
};

impl Compiler<'_> {
    pub(super) fn warnings(&self, layer: &Layer, rules: &[Rule], cases: &[Case]) -> Vec<PolicyError> {
        // A score reaches 1; a count goes on, so a large number stands for it.
        let most: Vec<f64> =
            self.table.iter().map(|name| if self.is_score(name) { 1.0 } else { 1e6 }).collect();
        let mut found = Found { layer, warnings: Vec::new() };
        found.unused_searches("list", &layer.raw.lists, &self.table);
        found.unused_searches("pattern", &layer.raw.patterns, &self.table);
        found.unused_fragments();
        for raw in &layer.raw.rules {
            let Some(rule) = rules.iter().find(|rule| *rule.id == *raw.value.id.value) else { continue };
            found.rule(rule, &raw.value.id, cases, &most);
        }
        found.warnings.sort_by_key(|warning| (warning.line, warning.column));
        found.warnings
    }
}

struct Found<'a> {
    layer: &'a Layer,
    warnings: Vec<PolicyError>,
}

impl Found<'_> {
    fn add<T>(&mut self, place: &Spanned<T>, message: String) {
        let (line, column) = (place.referenced.line(), place.referenced.column());
        self.warnings.push(PolicyError { file: self.layer.file.to_string(), line, column, message });
    }

    fn unused_searches(
        &mut self,
        group: &str,
        searches: &BTreeMap<String, Spanned<RawSearch>>,
        read: &[std::sync::Arc<str>],
    ) {
        for (name, search) in searches {
            let signal = format!("{group}.{name}");
            if !read.iter().any(|read| **read == *signal) {
                self.add(search, format!("no rule reads `{signal}`; it is not looked for"));
            }
        }
    }

    fn unused_fragments(&mut self) {
        let layer = self.layer;
        for (name, text) in &layer.raw.fragments {
            let used = format!("%{{{name}}}");
            let patterns = layer.raw.patterns.values().flat_map(|pattern| &pattern.value.0.any);
            let mut texts = patterns.chain(layer.raw.fragments.values().map(|fragment| &fragment.value));
            if !texts.any(|text| text.contains(&used)) {
                self.add(text, format!("no pattern of this file uses the fragment `{name}`"));
            }
        }
    }

    fn rule<T>(&mut self, rule: &Rule, place: &Spanned<T>, cases: &[Case], most: &[f64]) {
        let id = &rule.id;
        if rule.action == Action::Allow {
            self.add(place, format!("the rule `{id}` does nothing: what no rule stops is allowed anyway"));
        }
        // The canary is a setting, so no case can show one.
        let testable = !rule.reads().any(|signal| signal.starts_with("canary."));
        if testable && !cases.iter().any(|case| case.rule.as_deref() == Some(id)) {
            self.add(place, format!("no case expects the rule `{id}` to decide"));
        }
        match holds(&rule.condition, most) {
            Some(Holds::Always) => {
                self.add(place, format!("the rule `{id}` matches a text in which nothing was found"));
            }
            Some(Holds::Never) => {
                self.add(place, format!("the rule `{id}` never matches: see its condition"));
            }
            None => {}
        }
    }
}

enum Holds {
    Always,
    Never,
}

/// Tries a condition that reads signals only: with none of them raised, with all, with each alone, and with all
/// but one. `most` is the most that each signal of the policy's table can come to.
fn holds(condition: &Condition, most: &[f64]) -> Option<Holds> {
    if !condition.needs_no_facts() {
        return None;
    }
    let facts = Facts { role: "", place: "", direction: "", language: "", key: "", chars: 0 };
    let own: Vec<usize> = condition.signals().map(|(_, place)| place).collect();
    let holds = |raised: &dyn Fn(usize) -> f64| {
        let mut values = vec![0.0; most.len()];
        for &place in &own {
            values[place] = raised(place).min(most[place]);
        }
        condition.holds(&values, &facts)
    };
    if holds(&|_| 0.0) {
        return Some(Holds::Always);
    }
    let ever = [0.5, 1.0, 1e6].into_iter().any(|high| {
        holds(&|_| high)
            || own.iter().any(|&one| holds(&|place| if place == one { high } else { 0.0 }))
            || own.iter().any(|&one| holds(&|place| if place == one { 0.0 } else { high }))
    });
    (!ever).then_some(Holds::Never)
}
