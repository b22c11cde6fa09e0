//! Conditions: a subset of CEL (the Common Expression Language, cel.dev) that can't fail and needs no time to
//! speak of. Every number is a double, so that counts and scores compare as people expect; names, operators and
//! the kinds of their operands are checked when a policy is compiled.

mod check;

use std::sync::Arc;

use cel::{
    Context, IdedExpr, Value,
    common::{
        types::{CelDouble, CelString},
        value::CowVal,
    },
    context::VariableResolver,
    parser::Parser,
};

use crate::verdict::SignalInfo;

/// How deep a condition may nest.
const MAX_DEPTH: u16 = 32;

/// A mistake in a condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConditionError {
    /// Where in the condition, in characters from 0.
    pub(super) offset: usize,
    pub(super) message: String,
}

/// What a condition can ask of a segment, besides its signals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) role: &'a str,
    pub(super) place: &'a str,
    pub(super) direction: &'a str,
    pub(super) language: &'a str,
    /// The name of the caller's API key; empty without one.
    pub(super) key: &'a str,
    /// The length of the segment, in characters; counted only when a condition asks.
    pub(super) chars: usize,
}

/// A condition that is checked.
#[derive(Debug)]
pub(super) struct Condition {
    source: String,
    expr: IdedExpr,
    /// The signals it reads: name and place in the policy's table.
    signals: Vec<(Arc<str>, usize)>,
    facts: Vec<&'static str>,
}

impl Condition {
    /// Checks a condition against the signals that exist. `place_of` gives a signal's place in the policy's
    /// table.
    pub(super) fn compile(
        source: &str,
        known: &[SignalInfo],
        mut place_of: impl FnMut(&Arc<str>) -> usize,
    ) -> Result<Self, ConditionError> {
        let parsed = Parser::new().max_recursion_depth(MAX_DEPTH).parse_with_source_info(source);
        let (mut expr, places) = parsed.map_err(|errors| syntax_error(source, &errors))?;
        let mut checker = check::Checker::new(known, &places);
        checker.condition(&mut expr)?;
        let (signals, facts) = checker.finish();
        let signals = signals
            .into_iter()
            .map(|name| {
                let place = place_of(&name);
                (name, place)
            })
            .collect();
        Ok(Self { source: source.to_owned(), expr, signals, facts })
    }

    /// The condition as it was written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The signals it reads.
    pub(super) fn signals(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.signals.iter().map(|(name, place)| (name, *place))
    }

    /// Whether it asks for this fact.
    pub(super) fn reads(&self, fact: &str) -> bool {
        self.facts.contains(&fact)
    }

    /// Whether signals alone decide it.
    pub(super) fn needs_no_facts(&self) -> bool {
        self.facts.is_empty()
    }

    /// Whether it holds. `values` is the policy's table of signals.
    pub(super) fn holds(&self, values: &[f64], facts: &Facts<'_>) -> bool {
        let scope = Scope { signals: &self.signals, values, facts };
        let mut context = Context::empty();
        context.set_variable_resolver(&scope);
        match Value::resolve(&self.expr, &context) {
            Ok(Value::Bool(holds)) => holds,
            // The checks leave nothing that could fail; should they have a hole, a rule that can't be evaluated
            // counts as one that matched.
            _ => true,
        }
    }
}

/// The variables of one evaluation.
struct Scope<'a> {
    signals: &'a [(Arc<str>, usize)],
    values: &'a [f64],
    facts: &'a Facts<'a>,
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let facts = self.facts;
        Some(match variable {
            "role" => CowVal::owned(CelString::from(facts.role)),
            "place" => CowVal::owned(CelString::from(facts.place)),
            "direction" => CowVal::owned(CelString::from(facts.direction)),
            "language" => CowVal::owned(CelString::from(facts.language)),
            "key" => CowVal::owned(CelString::from(facts.key)),
            "chars" => CowVal::owned(CelDouble::from(facts.chars as f64)),
            signal => {
                let (_, place) = self.signals.iter().find(|(name, _)| **name == *signal)?;
                CowVal::owned(CelDouble::from(self.values.get(*place).copied().unwrap_or(0.0)))
            }
        })
    }
}

fn syntax_error(source: &str, errors: &cel::ParseErrors) -> ConditionError {
    let Some(error) = errors.errors.first() else {
        return ConditionError { offset: 0, message: "not a CEL expression".to_owned() };
    };
    let (line, column) = (error.pos.0.max(1) as usize, error.pos.1.max(1) as usize);
    let before: usize = source.split_inclusive('\n').take(line - 1).map(|line| line.chars().count()).sum();
    ConditionError { offset: before + column - 1, message: format!("not a CEL expression: {}", error.msg) }
}

#[cfg(test)]
mod tests;
