//! The lists that `make.py` writes: every text field of a dialect, with a body or a stream that holds the marker there.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// The text that is planted.
pub(crate) const MARKER: &str = "MARKER";

/// A dialect's fields.
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) request: Vec<Field>,
    pub(crate) response: Vec<Field>,
    pub(crate) events: Vec<Field>,
}

/// One field: a body, or the events of a stream, in which it alone holds the marker.
pub(crate) struct Field {
    pub(crate) path: String,
    json: Value,
}

impl Field {
    /// The body.
    pub(crate) fn body(&self) -> Bytes {
        self.json.to_string().into()
    }

    /// The stream as it comes from the wire.
    pub(crate) fn stream(&self) -> Vec<Bytes> {
        let events = self.json.as_array().unwrap().iter();
        let event = |event: &Value| match (event.as_str(), event["type"].as_str()) {
            (Some(bare), _) => format!("data: {bare}\n\n"),
            (None, Some(kind)) => format!("event: {kind}\ndata: {event}\n\n"),
            (None, None) => format!("data: {event}\n\n"),
        };
        events.map(event).map(Bytes::from).collect()
    }
}

#[derive(Deserialize)]
struct Raw {
    dialect: String,
    request: RawBodies,
    response: RawBodies,
    events: RawEvents,
}

#[derive(Deserialize)]
struct RawBodies {
    #[serde(default)]
    like: Option<String>,
    #[serde(default)]
    without: BTreeSet<String>,
    base: Value,
    fields: Vec<RawBody>,
}

#[derive(Deserialize)]
struct RawBody {
    path: String,
    with: Value,
}

#[derive(Deserialize)]
struct RawEvents {
    templates: Value,
    fields: Vec<RawEvent>,
    folded: Vec<RawFold>,
}

#[derive(Deserialize)]
struct RawEvent {
    path: String,
    r#in: String,
    event: Value,
}

#[derive(Deserialize)]
struct RawFold {
    #[serde(flatten)]
    event: RawEvent,
    at: String,
    of: String,
}

impl Schema {
    /// Reads what was written, with what it folds together unfolded.
    pub(crate) fn read(text: &str) -> Self {
        let raw: Raw = serde_json::from_str(text).unwrap();
        let response = raw.response.unfold();
        let events = raw.events.unfold(&response);
        let schema = Self { name: raw.dialect, request: raw.request.unfold(), response, events };
        let all = [&schema.request, &schema.response, &schema.events];
        for field in all.into_iter().flatten() {
            let text = field.json.to_string();
            assert_eq!(text.matches(MARKER).count(), 1, "{}: {text}", field.path);
        }
        schema
    }
}

impl RawBodies {
    fn unfold(self) -> Vec<Field> {
        let mut fields = Vec::new();
        if let Some(other) = self.like {
            assert_eq!(other, "messages");
            let others: Raw = serde_json::from_str(include_str!("messages.json")).unwrap();
            let taken = others.request.fields.into_iter().filter(|body| !self.without.contains(&body.path));
            fields.extend(taken.map(|body| body.over(&self.base)));
        }
        fields.extend(self.fields.into_iter().map(|body| body.over(&self.base)));
        fields
    }
}

impl RawBody {
    fn over(self, base: &Value) -> Field {
        let mut json = base.clone();
        let members = self.with.as_object().unwrap();
        json.as_object_mut().unwrap().extend(members.clone());
        Field { path: self.path, json }
    }
}

impl RawEvents {
    fn unfold(self, response: &[Field]) -> Vec<Field> {
        let mut fields: Vec<Field> =
            self.fields.iter().map(|event| self.stream(event, &event.path, &event.event)).collect();
        for fold in &self.folded {
            for field in response {
                let Some(rest) = field.path.strip_prefix(&*fold.of) else { continue };
                let dot = if fold.of.is_empty() { "." } else { "" };
                let part = if fold.of.is_empty() { &field.json } else { &field.json[&*fold.of][0] };
                let mut event = fold.event.event.clone();
                event[fold.at.trim_start_matches('/')] = part.clone();
                fields.push(self.stream(&fold.event, &format!("{}{dot}{rest}", fold.event.path), &event));
            }
        }
        fields
    }

    fn stream(&self, place: &RawEvent, path: &str, event: &Value) -> Field {
        let template =
            self.templates[&place.r#in].as_array().unwrap_or_else(|| panic!("no template for {path}"));
        let events = template.iter().map(|other| if other.is_null() { event } else { other });
        Field { path: path.to_owned(), json: events.cloned().collect() }
    }
}
