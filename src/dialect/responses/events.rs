//! The events of a stream: which of them carry pieces of which text, and a whole answer told in events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{super::OURS, items, shown::Shown};
use crate::message::Place;

/// A text that grows: `NAME.delta` events carry its pieces, then `NAME.done` says all of it.
#[derive(Debug)]
pub(super) struct Growing {
    /// What the types of its events begin with.
    name: &'static str,
    /// Its member in the item or part, and in the last event.
    pub(super) member: &'static str,
    /// The kind of item that it stands in.
    item: &'static str,
    /// The type of part that it stands in, and the list of those parts.
    part: Option<(&'static str, &'static Parts)>,
    /// What it is.
    pub(super) place: Place,
}

/// A list of parts in an item.
#[derive(Debug)]
pub(super) struct Parts {
    /// Its member in the item.
    pub(super) list: &'static str,
    /// What the types of the events begin with that open and close a part.
    pub(super) name: &'static str,
    /// The member of events that says which part they are about.
    pub(super) index: &'static str,
}

static CONTENT: Parts = Parts { list: "content", name: "response.content_part", index: "content_index" };
static SUMMARY: Parts =
    Parts { list: "summary", name: "response.reasoning_summary_part", index: "summary_index" };

/// Both lists of parts.
pub(super) static PARTS: [&Parts; 2] = [&SUMMARY, &CONTENT];

/// The texts of the published specification that grow and are seen in the item when it is done.
static GROWING: [Growing; 8] = [
    part("response.output_text", "text", "message", ("output_text", &CONTENT), Place::Content),
    part("response.refusal", "refusal", "message", ("refusal", &CONTENT), Place::Refusal),
    part("response.reasoning_text", "text", "reasoning", ("reasoning_text", &CONTENT), Place::Reasoning),
    part(
        "response.reasoning_summary_text",
        "text",
        "reasoning",
        ("summary_text", &SUMMARY),
        Place::Reasoning,
    ),
    call("response.function_call_arguments", "arguments", "function_call"),
    call("response.mcp_call_arguments", "arguments", "mcp_call"),
    call("response.custom_tool_call_input", "input", "custom_tool_call"),
    call("response.code_interpreter_call_code", "code", "code_interpreter_call"),
];

const fn part(
    name: &'static str,
    member: &'static str,
    item: &'static str,
    part: (&'static str, &'static Parts),
    place: Place,
) -> Growing {
    Growing { name, member, item, part: Some(part), place }
}

const fn call(name: &'static str, member: &'static str, item: &'static str) -> Growing {
    Growing { name, member, item, part: None, place: Place::ToolCall }
}

/// The text that events are about whose type begins so.
pub(super) fn of_events(name: &str) -> Option<&'static Growing> {
    GROWING.iter().find(|growing| growing.name == name)
}

/// The text that grows in an item itself.
pub(super) fn of_item(item: &Value) -> Option<&'static Growing> {
    let kind = items::kind(item);
    GROWING.iter().find(|growing| growing.part.is_none() && growing.item == kind)
}

/// The text that grows in a part.
pub(super) fn of_part(part: &Value) -> Option<&'static Growing> {
    GROWING.iter().find(|growing| growing.part.is_some_and(|(kind, _)| part["type"] == kind))
}

/// The text that grows at a place of an item, and in which part.
pub(super) fn of_place(kind: &str, below: &str) -> Option<(&'static Growing, usize)> {
    GROWING.iter().filter(|growing| growing.item == kind).find_map(|growing| {
        let keys: Vec<&str> = below.split('/').skip(1).collect();
        match (growing.part, &keys[..]) {
            (None, [member]) if *member == growing.member => Some((growing, 0)),
            (Some((_, parts)), [list, index, member]) if *list == parts.list && *member == growing.member => {
                Some((growing, index.parse().ok()?))
            }
            _ => None,
        }
    })
}

impl Growing {
    /// The list of parts that it stands in.
    pub(super) fn parts(&self) -> Option<&'static Parts> {
        self.part.map(|(_, parts)| parts)
    }

    /// The type of part that it stands in.
    pub(super) fn part_kind(&self) -> Option<&'static str> {
        self.part.map(|(kind, _)| kind)
    }

    /// Where the text stands in its item.
    pub(super) fn below(&self, part: usize) -> String {
        match self.part {
            None => format!("/{}", self.member),
            Some((_, Parts { list, .. })) => format!("/{list}/{part}/{}", self.member),
        }
    }

    /// An event about it: `delta` or `done`, with the text.
    pub(super) fn event(&self, end: &str, at: (usize, usize), item: &Value, text: &str) -> Value {
        let kind = format!("{}.{end}", self.name);
        let mut event = json!({"type": kind, "item_id": item["id"], "output_index": at.0});
        if let Some(parts) = self.parts() {
            event[parts.index] = at.1.into();
        }
        event[if end == "delta" { end } else { self.member }] = text.into();
        if self.place == Place::Content {
            event["logprobs"] = json!([]);
        }
        event
    }
}

impl Parts {
    /// An event about a part: `added` or `done`.
    pub(super) fn event(&self, end: &str, at: (usize, usize), item: &Value, part: &Value) -> Value {
        let kind = format!("{}.{end}", self.name);
        json!({"type": kind, "item_id": item["id"], "output_index": at.0, self.index: at.1, "part": part})
    }
}

/// Cuts a response into the events of a stream. Members of [`OURS`] go with the last one.
pub(super) fn write(response: &Value) -> Vec<Bytes> {
    let mut shown = Shown::default();
    let mut begun = response.clone();
    for (key, value) in begun.as_object_mut().into_iter().flatten() {
        match key.as_str() {
            "status" => *value = "in_progress".into(),
            "output" => *value = json!([]),
            "usage" | "error" | "incomplete_details" | "completed_at" | "output_text" => *value = Value::Null,
            _ => {}
        }
    }
    if let Value::Object(members) = &mut begun {
        members.retain(|key, _| !OURS.contains(&key.as_str()));
    }
    let mut events: Vec<Bytes> = ["response.created", "response.in_progress"]
        .into_iter()
        .map(|kind| shown.emit(json!({"type": kind, "response": begun})))
        .collect();
    for (i, item) in response["output"].as_array().into_iter().flatten().enumerate() {
        write_item(i, item, &mut shown, &mut events);
    }
    let last = match response["status"].as_str() {
        Some("incomplete") => "response.incomplete",
        Some("failed") => "response.failed",
        _ => "response.completed",
    };
    events.push(shown.emit(json!({"type": last, "response": response})));
    events
}

/// One item: opened without the texts that grow, each of these told, then closed with all of it.
fn write_item(i: usize, item: &Value, shown: &mut Shown, events: &mut Vec<Bytes>) {
    let mut begun = item.clone();
    if begun["status"].is_string() {
        begun["status"] = "in_progress".into();
    }
    let direct = of_item(item).filter(|growing| item[growing.member].is_string());
    if let Some(growing) = direct {
        begun[growing.member] = "".into();
    }
    let told = matches!(items::kind(item), "message" | "reasoning");
    let lists: Vec<&Parts> = PARTS.into_iter().filter(|parts| told && item[parts.list].is_array()).collect();
    for parts in &lists {
        begun[parts.list] = json!([]);
    }
    events.push(shown.emit(json!({"type": "response.output_item.added", "output_index": i, "item": begun})));
    if let Some(growing) = direct {
        let text = item[growing.member].as_str().unwrap_or_default();
        events.extend(["delta", "done"].map(|end| shown.emit(growing.event(end, (i, 0), item, text))));
    }
    for parts in lists {
        for (j, part) in each(item, parts.list).enumerate() {
            write_part(part, parts, (i, j), item, shown, events);
        }
    }
    events.push(shown.emit(json!({"type": "response.output_item.done", "output_index": i, "item": item})));
}

fn write_part(
    part: &Value,
    parts: &Parts,
    at: (usize, usize),
    item: &Value,
    shown: &mut Shown,
    events: &mut Vec<Bytes>,
) {
    let mut begun = part.clone();
    let growing = of_part(part).filter(|growing| part[growing.member].is_string());
    if let Some(growing) = growing {
        begun[growing.member] = "".into();
        for list in ["annotations", "logprobs"] {
            if begun[list].is_array() {
                begun[list] = json!([]);
            }
        }
    }
    events.push(shown.emit(parts.event("added", at, item, &begun)));
    if let Some(growing) = growing {
        let text = part[growing.member].as_str().unwrap_or_default();
        let event = |end| {
            let mut event = growing.event(end, at, item, text);
            if part["logprobs"].is_array() {
                event["logprobs"] = part["logprobs"].clone();
            }
            event
        };
        events.push(shown.emit(event("delta")));
        for (k, annotation) in each(part, "annotations").enumerate() {
            events.push(shown.emit(json!({
                "type": "response.output_text.annotation.added",
                "item_id": item["id"],
                "output_index": at.0,
                "content_index": at.1,
                "annotation_index": k,
                "annotation": annotation,
            })));
        }
        events.push(shown.emit(event("done")));
    }
    events.push(shown.emit(parts.event("done", at, item, part)));
}

fn each<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value[list].as_array().into_iter().flatten()
}
