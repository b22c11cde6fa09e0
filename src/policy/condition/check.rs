//! Checks a condition: which names it uses and whether its operands fit. Signals become plain names, and whole
//! numbers doubles, on the way.

use std::{collections::BTreeSet, sync::Arc};

use cel::{
    IdedExpr,
    common::ast::{Expr, LiteralValue, SourceInfo, operators},
};

use super::ConditionError;
use crate::{policy::error::suggest, verdict::SignalInfo};

/// What a condition can ask of a segment, besides its signals.
const FACTS: [&str; 6] = ["role", "place", "direction", "language", "key", "chars"];

/// The methods on texts that conditions may call.
const METHODS: [&str; 3] = ["startsWith", "endsWith", "contains"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Number,
    Text,
    List(Element),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Number,
    Text,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "a condition",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List(_) => "a list",
        }
    }
}

pub(super) struct Checker<'a> {
    known: &'a [SignalInfo],
    places: &'a SourceInfo,
    signals: BTreeSet<Arc<str>>,
    facts: BTreeSet<&'static str>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(known: &'a [SignalInfo], places: &'a SourceInfo) -> Self {
        Self { known, places, signals: BTreeSet::new(), facts: BTreeSet::new() }
    }

    pub(super) fn finish(self) -> (BTreeSet<Arc<str>>, Vec<&'static str>) {
        (self.signals, self.facts.into_iter().collect())
    }

    /// Checks that an expression is a condition.
    pub(super) fn condition(&mut self, expr: &mut IdedExpr) -> Result<(), ConditionError> {
        self.expect(expr, Kind::Bool)
    }

    fn expect(&mut self, expr: &mut IdedExpr, wanted: Kind) -> Result<(), ConditionError> {
        let found = self.kind(expr)?;
        if found == wanted {
            return Ok(());
        }
        let hint =
            if wanted == Kind::Bool && found == Kind::Number { "; compare it, such as `> 0`" } else { "" };
        Err(self.error(expr.id, format!("expected {}, found {}{hint}", wanted.name(), found.name())))
    }

    fn kind(&mut self, expr: &mut IdedExpr) -> Result<Kind, ConditionError> {
        let id = expr.id;
        match &mut expr.expr {
            Expr::Literal(literal) => self.literal(id, literal),
            Expr::Ident(name) => self.fact(id, name),
            Expr::Select(_) => {
                let (name, id) = qualified_name(expr).ok_or_else(|| {
                    self.error(id, "only signals have parts, such as `pii.email`".to_owned())
                })?;
                let signal = self.signal(id, &name)?;
                expr.expr = Expr::Ident(signal.to_string());
                self.signals.insert(signal);
                Ok(Kind::Number)
            }
            Expr::List(list) => {
                let mut element = None;
                for item in &mut list.elements {
                    let found = match self.kind(item)? {
                        Kind::Number => Element::Number,
                        Kind::Text => Element::Text,
                        other => {
                            return Err(self.error(
                                item.id,
                                format!("a list holds texts or numbers, found {}", other.name()),
                            ));
                        }
                    };
                    if *element.get_or_insert(found) != found {
                        return Err(self.error(item.id, "a list holds texts or numbers, not both".to_owned()));
                    }
                }
                element
                    .map(Kind::List)
                    .ok_or_else(|| self.error(id, "an empty list never matches".to_owned()))
            }
            Expr::Call(_) => self.call(expr),
            _ => Err(self.error(id, "maps, messages and macros have no use in a condition".to_owned())),
        }
    }

    fn literal(&self, id: u64, literal: &mut LiteralValue) -> Result<Kind, ConditionError> {
        let number = match literal {
            LiteralValue::Boolean(_) => return Ok(Kind::Bool),
            LiteralValue::String(_) => return Ok(Kind::Text),
            LiteralValue::Double(_) => return Ok(Kind::Number),
            LiteralValue::Int(value) => *value.inner() as f64,
            LiteralValue::UInt(value) => *value.inner() as f64,
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                return Err(self.error(id, "bytes and null have no use in a condition".to_owned()));
            }
        };
        *literal = LiteralValue::Double(number.into());
        Ok(Kind::Number)
    }

    fn fact(&mut self, id: u64, name: &str) -> Result<Kind, ConditionError> {
        let Some(fact) = FACTS.into_iter().find(|fact| *fact == name) else {
            let message = if self.known.iter().any(|signal| signal.name.split('.').next() == Some(name)) {
                format!("`{name}` is a group of signals; name one, such as `{name}.{}`", self.member_of(name))
            } else {
                let known = self.known.iter().map(|signal| &*signal.name).chain(FACTS);
                format!("unknown name `{name}`{}", suggest(name, known))
            };
            return Err(self.error(id, message));
        };
        self.facts.insert(fact);
        Ok(if fact == "chars" { Kind::Number } else { Kind::Text })
    }

    fn member_of(&self, group: &str) -> &str {
        let members = self.known.iter().filter_map(|signal| signal.name.split_once('.'));
        members.filter(|(of, _)| *of == group).map(|(_, member)| member).next().unwrap_or_default()
    }

    fn signal(&self, id: u64, name: &str) -> Result<Arc<str>, ConditionError> {
        let found = self.known.iter().find(|signal| *signal.name == *name);
        found.map(|signal| Arc::clone(&signal.name)).ok_or_else(|| {
            let known = self.known.iter().map(|signal| &*signal.name);
            self.error(id, format!("unknown signal `{name}`{}", suggest(name, known)))
        })
    }

    fn call(&mut self, expr: &mut IdedExpr) -> Result<Kind, ConditionError> {
        let id = expr.id;
        let Expr::Call(call) = &mut expr.expr else { unreachable!("only called for calls") };
        if let Some(target) = &mut call.target {
            if !METHODS.contains(&call.func_name.as_str()) {
                let message =
                    format!("unknown function `{}`{}", call.func_name, suggest(&call.func_name, METHODS));
                return Err(self.error(id, message));
            }
            self.expect(target, Kind::Text)?;
            let [argument] = call.args.as_mut_slice() else {
                return Err(self.error(id, format!("`{}` takes one text", call.func_name)));
            };
            self.expect(argument, Kind::Text)?;
            return Ok(Kind::Bool);
        }
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.expect(left, Kind::Bool)?;
                self.expect(right, Kind::Bool)?;
                Ok(Kind::Bool)
            }
            (operators::LOGICAL_NOT, [operand]) => self.expect(operand, Kind::Bool).map(|()| Kind::Bool),
            (operators::NEGATE, [operand]) => self.expect(operand, Kind::Number).map(|()| Kind::Number),
            (operators::ADD | operators::SUBSTRACT | operators::MULTIPLY, [left, right]) => {
                self.expect(left, Kind::Number)?;
                self.expect(right, Kind::Number)?;
                Ok(Kind::Number)
            }
            (
                operators::GREATER | operators::GREATER_EQUALS | operators::LESS | operators::LESS_EQUALS,
                [left, right],
            ) => {
                self.expect(left, Kind::Number)?;
                self.expect(right, Kind::Number)?;
                Ok(Kind::Bool)
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                let kind = self.kind(left)?;
                self.expect(right, kind)?;
                Ok(Kind::Bool)
            }
            (operators::IN, [item, list]) => {
                let element = match self.kind(item)? {
                    Kind::Text => Element::Text,
                    Kind::Number => Element::Number,
                    other => return Err(self.error(item.id, format!("a list holds no {}", other.name()))),
                };
                self.expect(list, Kind::List(element))?;
                Ok(Kind::Bool)
            }
            (operators::CONDITIONAL, [when, then, otherwise]) => {
                self.expect(when, Kind::Bool)?;
                let kind = self.kind(then)?;
                self.expect(otherwise, kind)?;
                Ok(kind)
            }
            (name, _) => {
                Err(self.error(id, format!("`{}` can't be used in a condition", name.trim_matches('_'))))
            }
        }
    }

    fn error(&self, id: u64, message: String) -> ConditionError {
        let offset = self.places.offset_for(id).map_or(0, |(start, _)| start as usize);
        ConditionError { offset, message }
    }
}

/// `a.b.c` of nested selections on a name, and the node of its first part.
fn qualified_name(expr: &IdedExpr) -> Option<(String, u64)> {
    match &expr.expr {
        Expr::Ident(name) => Some((name.clone(), expr.id)),
        Expr::Select(select) if !select.test => {
            let (of, first) = qualified_name(&select.operand)?;
            Some((format!("{of}.{}", select.field), first))
        }
        _ => None,
    }
}
