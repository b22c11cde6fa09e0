//! What the client has of a streamed response, and the events that end such a stream with a refusal.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    super::{Lens, sse, stream::MAX_INDEX},
    answer,
    events::{self, PARTS, Parts},
    items,
};
use crate::message::Direction;

/// The output as a client has put it together from the events that it was shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    begun: bool,
    /// Items by their index; null where none was opened.
    items: Vec<Value>,
    /// Texts, parts and items that were closed, by their pointers.
    closed: HashSet<String>,
    /// The next event's number.
    next: u64,
}

/// The end of a stream that is refused.
pub(super) struct Ending<'a> {
    /// What the user reads.
    pub(super) text: &'a str,
    /// The response, without its output.
    pub(super) response: &'a Value,
    /// About how many tokens came.
    pub(super) tokens: u64,
    /// Members of Demur's own.
    pub(super) ours: Map<String, Value>,
}

impl Shown {
    /// Numbers an event of ours, takes note of it and writes it.
    pub(super) fn emit(&mut self, mut event: Value) -> Bytes {
        event["sequence_number"] = self.next.into();
        self.take(&event);
        sse::named(event["type"].as_str().unwrap_or_default(), &event.to_string())
    }

    /// An opened item.
    pub(super) fn item(&self, index: usize) -> &Value {
        self.items.get(index).unwrap_or(&Value::Null)
    }

    /// Takes note of an event that the client sees.
    pub(super) fn take(&mut self, event: &Value) {
        self.next = event["sequence_number"].as_u64().unwrap_or(self.next) + 1;
        let kind = event["type"].as_str().unwrap_or_default();
        if event["response"].is_object() {
            self.begun = true;
        }
        let i = number(event, "output_index");
        match kind.rsplit_once('.') {
            Some(("response.output_item", end)) => self.take_item(i, end, &event["item"]),
            Some(("response.output_text.annotation", _)) => {
                let part = self.part(i, "content", number(event, "content_index"));
                array(part, "annotations").push(event["annotation"].clone());
            }
            Some((name, end)) => self.take_piece(i, name, end, event),
            None => {}
        }
    }

    fn take_item(&mut self, i: usize, end: &str, item: &Value) {
        *self.slot(i) = item.clone();
        if end == "done" {
            self.closed.insert(format!("/{i}"));
        }
    }

    fn take_piece(&mut self, i: usize, name: &str, end: &str, event: &Value) {
        if let Some(Parts { list, index, .. }) = PARTS.into_iter().find(|parts| parts.name == name) {
            let j = number(event, index);
            *self.part(i, list, j) = event["part"].clone();
            if end == "done" {
                self.closed.insert(format!("/{i}/{list}/{j}"));
            }
        } else if let Some(growing) = events::of_events(name) {
            let j = growing.parts().map_or(0, |parts| number(event, parts.index));
            let holder = match growing.parts() {
                Some(parts) => self.part(i, parts.list, j),
                None => self.slot(i),
            };
            let holder = object(holder);
            if let Some(kind) = growing.part_kind().filter(|_| holder["type"].is_null()) {
                holder["type"] = kind.into();
            }
            let text = &mut holder[growing.member];
            let so_far = text.as_str().unwrap_or_default();
            if end == "done" {
                *text = event[growing.member].clone();
                self.closed.insert(format!("/{i}{}", growing.below(j)));
            } else if let Some(piece) = event["delta"].as_str() {
                *text = format!("{so_far}{piece}").into();
            }
        }
    }

    fn slot(&mut self, i: usize) -> &mut Value {
        if self.items.len() <= i {
            self.items.resize(i + 1, Value::Null);
        }
        &mut self.items[i]
    }

    fn part(&mut self, i: usize, list: &str, j: usize) -> &mut Value {
        let parts = array(self.slot(i), list);
        if parts.len() <= j {
            parts.resize(j + 1, Value::Null);
        }
        &mut parts[j]
    }

    fn is_open(&self, pointer: &str) -> bool {
        !self.closed.contains(pointer)
    }

    /// Ends the stream. What was shown stays; what is open is closed with what was shown of it; the text stands behind
    /// the words, on a line of its own, and once more as a `refusal`.
    ///
    /// A refusal that cuts something off leaves an incomplete response. One that stands for itself is a completed one:
    /// it is all that there is to say, and the SDK's helpers give a response only when they have seen it completed.
    pub(super) fn refuse(&mut self, ending: Ending<'_>) -> Vec<Bytes> {
        let mut events = Vec::new();
        if !self.begun {
            let mut begun = ending.response.clone();
            begun["output"] = json!([]);
            for kind in ["response.created", "response.in_progress"] {
                events.push(self.emit(json!({"type": kind, "response": begun})));
            }
        }
        let cut = self.items.iter().any(|item| !texts(item).is_empty());
        let status = if cut { "incomplete" } else { "completed" };
        let i = self.clear_way(&mut events);
        self.say(i, ending.text, &mut events);
        self.close(i, status, &mut events);
        let mut response = ending.response.clone();
        response["status"] = status.into();
        response["output"] = self.items.iter().filter(|item| item.is_object()).cloned().collect();
        if cut {
            response["incomplete_details"] = json!({"reason": "content_filter"});
        }
        if response["usage"].is_null() {
            response["usage"] = answer::usage(ending.tokens);
        }
        for (key, value) in ending.ours {
            response[key] = value;
        }
        events.push(self.emit(json!({"type": format!("response.{status}"), "response": response})));
        events
    }

    /// Closes everything but a message that is still being written; gives its index, or that of a new one.
    fn clear_way(&mut self, events: &mut Vec<Bytes>) -> usize {
        let last = self.items.len().checked_sub(1);
        let going_on =
            last.filter(|i| self.is_open(&format!("/{i}")) && items::kind(&self.items[*i]) == "message");
        for i in 0..self.items.len() {
            if Some(i) != going_on && self.items[i].is_object() && self.is_open(&format!("/{i}")) {
                self.close(i, "incomplete", events);
            }
        }
        going_on.unwrap_or_else(|| {
            let i = self.items.len();
            let id = format!("msg_demur_{}", self.next);
            let item =
                json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
            events.push(self.emit(json!({"type": "response.output_item.added", "output_index": i, "item": item})));
            i
        })
    }

    /// Says a refusal in an open message: in the text that is being written, or in one of its own.
    fn say(&mut self, i: usize, text: &str, events: &mut Vec<Bytes>) {
        let worded = self.items.iter().flat_map(|item| item["content"].as_array()).flatten();
        let worded = worded.filter(|part| part["type"] == "output_text");
        let line = if worded.into_iter().any(|part| part["text"] != "") { "\n\n" } else { "" };
        let parts = self.item(i)["content"].as_array().map_or(&[][..], Vec::as_slice);
        let going_on = parts.len().checked_sub(1).filter(|j| {
            let open = |below: &str| self.is_open(&format!("/{i}/content/{j}{below}"));
            parts[*j]["type"] == "output_text" && open("") && open("/text")
        });
        let j = going_on.unwrap_or(parts.len());
        if going_on.is_none() {
            self.close_parts(i, events);
        }
        let text_part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        let refusal_part = json!({"type": "refusal", "refusal": ""});
        for (j, part, text) in
            [(j, text_part, format!("{line}{text}")), (j + 1, refusal_part, text.to_owned())]
        {
            let item = self.item(i).clone();
            let growing = events::of_part(&part).expect("a text of the list");
            let parts = growing.parts().expect("a part of the content");
            if going_on != Some(j) {
                events.push(self.emit(parts.event("added", (i, j), &item, &part)));
            }
            events.push(self.emit(growing.event("delta", (i, j), &item, &text)));
            self.close_parts(i, events);
        }
    }

    fn close_parts(&mut self, i: usize, events: &mut Vec<Bytes>) {
        for parts in PARTS {
            let item = self.item(i).clone();
            for (j, part) in item[parts.list].as_array().into_iter().flatten().enumerate() {
                if !part.is_object() || !self.is_open(&format!("/{i}/{}/{j}", parts.list)) {
                    continue;
                }
                let growing = events::of_part(part)
                    .filter(|growing| self.is_open(&format!("/{i}{}", growing.below(j))));
                if let Some(growing) = growing {
                    let text = part[growing.member].as_str().unwrap_or_default();
                    events.push(self.emit(growing.event("done", (i, j), &item, text)));
                }
                events.push(self.emit(parts.event("done", (i, j), &item, part)));
            }
        }
    }

    fn close(&mut self, i: usize, status: &str, events: &mut Vec<Bytes>) {
        self.close_parts(i, events);
        let mut item = self.item(i).clone();
        let growing =
            events::of_item(&item).filter(|growing| self.is_open(&format!("/{i}{}", growing.below(0))));
        if let Some(growing) = growing {
            let text = item[growing.member].as_str().unwrap_or_default();
            events.push(self.emit(growing.event("done", (i, 0), &item, text)));
        }
        if !item["status"].is_null() {
            // These two know no `incomplete`.
            let fails = matches!(items::kind(&item), "web_search_call" | "image_generation_call");
            item["status"] = if fails { "failed" } else { status }.into();
        }
        events.push(self.emit(json!({"type": "response.output_item.done", "output_index": i, "item": item})));
    }
}

/// The texts of an item.
fn texts(item: &Value) -> Vec<crate::message::Segment> {
    let mut lens = Lens::new(Direction::Output);
    items::texts_of_answer(item, "", &mut lens);
    lens.finish()
}

/// A number in an event that was read, and so is not too large.
fn number(event: &Value, member: &str) -> usize {
    event[member].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0).min(MAX_INDEX + 1)
}

/// A value as an object, whatever it was.
fn object(value: &mut Value) -> &mut Value {
    if !value.is_object() {
        *value = json!({});
    }
    value
}

/// A member as a list, whatever it was.
fn array<'a>(value: &'a mut Value, member: &str) -> &'a mut Vec<Value> {
    let list = &mut object(value)[member];
    if !list.is_array() {
        *list = json!([]);
    }
    list.as_array_mut().expect("it was just made one")
}
