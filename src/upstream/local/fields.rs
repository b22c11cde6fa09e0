//! Reading the fields of a request so that whatever is wrong is named. A field that is `null` counts as absent,
//! as with OpenAI.

use std::{fmt::Display, ops::RangeInclusive};

use serde_json::{Map, Value};

use crate::upstream::UpstreamError;

/// A request's object, or one inside it.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which stands at `param`.
    pub(super) fn of(value: &'a Value, param: &str) -> Result<Self, UpstreamError> {
        value.as_object().map(|object| Self { object }).ok_or_else(|| wrong(param, "an object", value))
    }

    /// A field, unless it is absent or null.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A number within a range.
    pub(super) fn number(self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, UpstreamError> {
        self.get(name).map(|value| number(name, value, range)).transpose()
    }

    /// An integer within a range.
    pub(super) fn integer(
        self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, UpstreamError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let expected = || match (*range.start(), *range.end()) {
            (i64::MIN, i64::MAX) => "an integer".to_owned(),
            (least, i64::MAX) => format!("an integer of at least {least}"),
            (least, most) => format!("an integer from {least} to {most}"),
        };
        match value.as_i64() {
            Some(integer) if range.contains(&integer) => Ok(Some(integer)),
            _ => Err(wrong(name, expected(), value)),
        }
    }

    /// True or false; absent is false.
    pub(super) fn flag(self, name: &str) -> Result<bool, UpstreamError> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| wrong(name, "true or false", value)),
        }
    }

    /// A text, where `param` names its place.
    pub(super) fn text(self, name: &str, param: &str) -> Result<Option<&'a str>, UpstreamError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| wrong(param, "a string", value)),
        }
    }
}

/// A number within a range.
pub(super) fn number(param: &str, value: &Value, range: RangeInclusive<f64>) -> Result<f64, UpstreamError> {
    let expected = format!("a number from {} to {}", range.start(), range.end());
    value.as_f64().filter(|number| range.contains(number)).ok_or_else(|| wrong(param, expected, value))
}

/// A field is not what was expected. A number is quoted; of anything else only the kind, since it may be words.
pub(super) fn wrong(param: &str, expected: impl Display, found: &Value) -> UpstreamError {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(found) => found.to_string(),
        Value::Number(found) => found.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    invalid(param, format!("`{param}` must be {expected}; found {found}"))
}

/// A request that can't be answered, with the field at fault.
pub(super) fn invalid(param: &str, message: impl Into<String>) -> UpstreamError {
    UpstreamError::Invalid { param: Some(param.to_owned()), message: message.into() }
}
