//! The tests that a policy carries.

use std::sync::Arc;

use super::{Compiler, Layer};
use crate::{
    message::{Place, Role},
    policy::{
        Case, Rule,
        error::suggest,
        raw::{RawCase, RawExpect, RawTurn, Text},
    },
};
use serde_saphyr::Spanned;

const ROLES: [(&str, Role); 5] = [
    ("user", Role::User),
    ("system", Role::System),
    ("developer", Role::Developer),
    ("assistant", Role::Assistant),
    ("tool", Role::Tool),
];

impl Compiler<'_> {
    pub(super) fn cases(&mut self, layer: &Layer, rules: &[Rule]) -> Vec<Case> {
        self.file = Arc::clone(&layer.file);
        layer.raw.cases.iter().map(|case| self.case(case, rules)).collect()
    }

    fn case(&mut self, raw: &Spanned<RawCase>, rules: &[Rule]) -> Case {
        let case = &raw.value;
        let (action, rule) = match case.expect.value.clone() {
            RawExpect::Action(action) => (action, None),
            RawExpect::Full(full) => (full.action, full.rule),
        };
        let expect = &case.expect;
        let action: Text = Spanned { value: action, referenced: expect.referenced, defined: expect.defined };
        let action = self.action(&action);
        if let Some(rule) = rule.as_ref().filter(|rule| !rules.iter().any(|known| *known.id == ***rule)) {
            let hint = suggest(rule, rules.iter().map(|rule| &*rule.id));
            self.error(expect, format!("unknown rule `{rule}`{hint}"));
        }
        let role = case.role.as_ref().map_or(Role::User, |role| self.one_of(role, "role", &ROLES));
        let place = match &case.place {
            Some(place) => self.one_of(place, "place", &Place::ALL.map(|place| (place.as_str(), place))),
            None => Place::of(role),
        };
        Case {
            say: case.say.clone(),
            answer: case.answer.clone(),
            role,
            place,
            key: case.key.as_deref().map(Arc::from),
            turns: case.turns.iter().map(turn).collect(),
            action,
            rule,
            why: case.why.clone(),
            at: format!("{}:{}", self.file, raw.referenced.line()),
        }
    }
}

fn turn(raw: &RawTurn) -> (Role, String) {
    let (role, text) = match raw {
        RawTurn::System(text) => (Role::System, text),
        RawTurn::Developer(text) => (Role::Developer, text),
        RawTurn::User(text) => (Role::User, text),
        RawTurn::Assistant(text) => (Role::Assistant, text),
        RawTurn::Tool(text) => (Role::Tool, text),
    };
    (role, text.clone())
}
