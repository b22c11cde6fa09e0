//! The events of a streamed response, one by one. Most texts are said several times: in pieces, whole at their end, in
//! their part, their item and the response. All of these are one track.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Asked, Lens,
        lens::{escape, every_string_below, write},
        sse::{self, Event},
        stream::{Piece, Reader, Said, Track, index},
    },
    answer,
    events::{self, Growing, PARTS},
    items,
    shown::{Ending, Shown},
};
use crate::message::{Direction, Place, Role, Segment};

/// Members of events that say what they are about, and those that hold no text: padding and pictures.
const NO_TEXT: [&str; 6] =
    ["type", "sequence_number", "item_id", "obfuscation", "partial_image_b64", "stream_id"];

/// A stream of a response.
pub(super) struct Events {
    /// The response as it was last read, without its output.
    response: Value,
    tracks: Vec<Track>,
    known: HashMap<String, usize>,
    /// For texts in events of no known kind: such an event without its texts, and where the text stands.
    alike: HashMap<usize, (Value, String)>,
    shown: Shown,
    /// Members that go along with the last event.
    ours: Map<String, Value>,
    /// Events of our own among the others.
    added: u64,
    /// Pieces of texts: about as many tokens.
    tokens: u64,
    seen: bool,
    done: bool,
    declined: bool,
}

impl Events {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            response: answer::blank("resp_demur", 0, &asked.model),
            tracks: Vec::new(),
            known: HashMap::new(),
            alike: HashMap::new(),
            shown: Shown::default(),
            ours: Map::new(),
            added: 0,
            tokens: 0,
            seen: false,
            done: false,
            declined: false,
        }
    }

    /// The track of the text that stands there in the whole answer.
    fn track(&mut self, pointer: String, place: Place) -> usize {
        if let Some(&track) = self.known.get(&pointer) {
            return track;
        }
        // Notices stand in one text, however many follow.
        let is_words =
            place == Place::Content && pointer.starts_with("/output/") && pointer.ends_with("/text");
        let visible = is_words && !self.tracks.iter().any(|track| track.visible);
        self.known.insert(pointer.clone(), self.tracks.len());
        self.tracks.push(Track { place, pointer, visible });
        self.tracks.len() - 1
    }

    /// Texts below a member of an event that says them whole: at their end, or because they don't grow.
    fn texts(
        &mut self,
        texts: Vec<Segment>,
        member: &str,
        at: &str,
        grows: impl Fn(&str) -> bool,
        said: &mut Said,
    ) {
        for Segment { pointer, place, text, .. } in texts {
            let whole = !grows(&pointer);
            let track = self.track(format!("{at}{pointer}"), place);
            let pointer = format!("/{member}{pointer}");
            said.pieces.push(Piece { track, pointer, text: text.to_string(), whole });
            if whole {
                said.ends.push(track);
            }
        }
    }

    fn end_all(&self, at: &str, said: &mut Said) {
        let below = |track: &Track| track.pointer.strip_prefix(at).is_some_and(|rest| rest.starts_with('/'));
        said.ends.extend((0..self.tracks.len()).filter(|&track| below(&self.tracks[track])));
    }

    fn read_response(&mut self, kind: &str, response: &Value, said: &mut Said) {
        let mut lens = Lens::new(Direction::Output);
        answer::texts(response, &mut lens);
        self.texts(lens.finish(), "response", "", |_| false, said);
        for (i, item) in response["output"].as_array().into_iter().flatten().enumerate() {
            said.spelled.extend(items::spellings(item, &format!("/response/output/{i}")));
        }
        self.response = response.clone();
        self.response["output"] = json!([]);
        if matches!(kind, "response.completed" | "response.incomplete" | "response.failed") {
            self.declined |= answer::declined(response);
            self.done = true;
            said.last = true;
        }
    }

    fn read_item(&mut self, i: usize, end: &str, item: &Value, said: &mut Said) {
        let mut lens = Lens::new(Direction::Output);
        items::texts_of_answer(item, "", &mut lens);
        let (kind, done) = (items::kind(item), end == "done");
        let grows = |below: &str| !done && events::of_place(kind, below).is_some();
        self.texts(lens.finish(), "item", &format!("/output/{i}"), grows, said);
        said.spelled.extend(items::spellings(item, "/item"));
        if done {
            self.end_all(&format!("/output/{i}"), said);
        }
    }

    fn read_part(&mut self, at: &str, end: &str, part: &Value, said: &mut Said) {
        let done = end == "done";
        let grows = |below: &str| {
            !done
                && events::of_part(part)
                    .is_some_and(|growing| below.strip_prefix('/') == Some(growing.member))
        };
        self.texts(items::texts_of_part(part), "part", at, grows, said);
        said.spelled.extend(items::spellings(part, "/part"));
        if done {
            self.end_all(at, said);
        }
    }

    /// A piece of a text, or all of it at its end; gives the member that says it.
    fn read_growing(
        &mut self,
        at: &str,
        part: usize,
        growing: &Growing,
        event: &Value,
        said: &mut Said,
    ) -> &'static str {
        let below = growing.below(part);
        let done = event["delta"].is_null();
        let member = if done { growing.member } else { "delta" };
        let text = event[member].as_str().unwrap_or_default();
        self.declined |= growing.place == Place::Refusal && !text.is_empty();
        let track = self.track(format!("{at}{below}"), growing.place);
        if !text.is_empty() {
            let pointer = format!("/{member}");
            said.pieces.push(Piece { track, pointer, text: text.to_owned(), whole: done });
        }
        if done {
            said.ends.push(track);
        }
        if let Some((first, text)) = items::spelling(&event["logprobs"], text) {
            let of_part = below.trim_end_matches(growing.member);
            let track = self.track(format!("{at}{of_part}logprobs{first}"), Place::Other);
            said.pieces.push(Piece { track, pointer: format!("/logprobs{first}"), text, whole: done });
        }
        said.spelled.extend(items::spellings(event, ""));
        member
    }

    /// Every string of an event that was not looked at by name. Events alike carry pieces of one text.
    fn read_rest(&mut self, kind: &str, event: &Value, known: &str, said: &mut Said) {
        // Where the event is a known one, what they spell was looked at with its text.
        let spelled = |key: &str| key == "logprobs" && !known.is_empty() && event[key].is_array();
        let is_known = |key: &str| NO_TEXT.contains(&key) || key == known || spelled(key);
        let rest = event.as_object().into_iter().flatten().filter(|(key, _)| !is_known(key));
        let texts: Vec<(String, &str)> = rest
            .flat_map(|(key, value)| {
                let below = every_string_below(value).into_iter();
                below.map(move |(below, text)| (format!("/{}{below}", escape(key)), text))
            })
            .collect();
        let place = match kind {
            _ if kind.contains("transcript") => Place::Content,
            _ if kind.contains("reasoning") => Place::Reasoning,
            _ if kind.contains("_call_output") => Place::ToolResult,
            _ if kind.contains("_call") => Place::ToolCall,
            _ => Place::Other,
        };
        let about = ["output_index", "content_index", "summary_index", "command_index", "item_id"];
        let about: Vec<String> = about.iter().map(|key| event[*key].to_string()).collect();
        for (pointer, text) in &texts {
            let track = self.track(format!("/../{kind}/{}{pointer}", about.join("/")), place);
            self.alike.entry(track).or_insert_with(|| {
                let mut alike = event.clone();
                texts.iter().for_each(|(pointer, _)| write(&mut alike, pointer, String::new()));
                (alike, pointer.clone())
            });
            let pointer = pointer.clone();
            said.pieces.push(Piece { track, pointer, text: (*text).to_owned(), whole: false });
        }
    }

    fn read_event(&mut self, kind: &str, event: &Value, said: &mut Said) -> Result<(), String> {
        let i = index(event, "output_index")?;
        let at = format!("/output/{i}");
        let (name, end) = kind.rsplit_once('.').unwrap_or((kind, ""));
        let parts = PARTS.into_iter().find(|parts| parts.name == name);
        let known = if event["response"].is_object() {
            self.read_response(kind, &event["response"], said);
            "response"
        } else if name == "response.output_item" {
            self.read_item(i, end, &event["item"], said);
            "item"
        } else if let Some(parts) = parts {
            let at = format!("{at}/{}/{}", parts.list, index(event, parts.index)?);
            self.read_part(&at, end, &event["part"], said);
            "part"
        } else if name == "response.output_text.annotation" {
            let part = index(event, "content_index")?;
            let at = format!("{at}/content/{part}/annotations/{}", event["annotation_index"]);
            let mut lens = Lens::new(Direction::Output);
            items::walk(&event["annotation"], "", Role::Assistant, Place::Other, &mut lens);
            self.texts(lens.finish(), "annotation", &at, |_| false, said);
            "annotation"
        } else if let Some(growing) = events::of_events(name) {
            let part = growing.parts().map_or(Ok(0), |parts| index(event, parts.index))?;
            let member = self.read_growing(&at, part, growing, event, said);
            if event[member].is_string() { member } else { "" }
        } else if kind == "response.audio.delta" {
            // Sound in base64.
            "delta"
        } else {
            ""
        };
        self.read_rest(kind, event, known, said);
        Ok(())
    }
}

impl Reader for Events {
    fn read(&mut self, event: &Event, json: Option<&Value>) -> Result<Said, String> {
        let mut said = Said::default();
        let Some(data) = event.data.as_deref().filter(|_| !self.done) else { return Ok(said) };
        if data.trim() == sse::DONE {
            // Not a part of this format, but some servers end all their streams so.
            return Ok(said);
        }
        let json = json.ok_or("an event that is not JSON")?;
        if !json.is_object() {
            return Err("an event that is not an object".to_owned());
        }
        let kind = json["type"].as_str().unwrap_or(&event.name);
        if kind == "error" || !json["error"].is_null() {
            return Err("an error event in its stream".to_owned());
        }
        self.read_event(kind, json, &mut said)?;
        self.seen = true;
        self.tokens += u64::from(said.pieces.iter().any(|piece| !piece.whole));
        Ok(said)
    }

    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn shown(&mut self, json: &Value) {
        self.shown.take(json);
    }

    fn fit(&mut self, json: &mut Value) -> bool {
        let number = json["sequence_number"].as_u64().filter(|_| self.added > 0);
        if let Some(number) = number {
            json["sequence_number"] = (number + self.added).into();
        }
        let mut changed = number.is_some();
        // They are attached when the last event is next.
        if let Some(response) = json["response"].as_object_mut().filter(|_| !self.ours.is_empty()) {
            response.extend(std::mem::take(&mut self.ours));
            changed = true;
        }
        changed
    }

    fn append(&mut self, track: usize, text: &str) -> Bytes {
        self.added += 1;
        if let Some((alike, pointer)) = self.alike.get(&track) {
            let mut event = alike.clone();
            write(&mut event, pointer, text.to_owned());
            return self.shown.emit(event);
        }
        let pointer = self.tracks[track].pointer.clone();
        let mut keys = pointer.splitn(4, '/').skip(2);
        let i: usize = keys.next().and_then(|i| i.parse().ok()).unwrap_or_default();
        let below = format!("/{}", keys.next().unwrap_or_default());
        let item = self.shown.item(i).clone();
        match events::of_place(items::kind(&item), &below) {
            Some((growing, part)) => self.shown.emit(growing.event("delta", (i, part), &item, text)),
            // A text that does not grow has ended where it was said.
            None => {
                self.added -= 1;
                Bytes::from_static(b": \n\n")
            }
        }
    }

    fn attach(&mut self, members: &Map<String, Value>) -> Option<Bytes> {
        self.ours =
            members.iter().map(|(key, value)| (key.clone(), answer::ours(key, value.clone()))).collect();
        None
    }

    fn refuse(&mut self, text: &str, _hazard: Option<&'static str>) -> Vec<Bytes> {
        let ours = std::mem::take(&mut self.ours);
        self.shown.refuse(Ending { text, response: &self.response, tokens: self.tokens, ours })
    }

    fn broken(&mut self, message: &str) -> Vec<Bytes> {
        let error = json!({"type": "error", "code": "upstream_broken", "message": message, "param": null});
        vec![self.shown.emit(error)]
    }

    fn end(&mut self) -> Result<Vec<Bytes>, String> {
        match (self.done, self.seen) {
            (true, _) => Ok(Vec::new()),
            (false, false) => Err("a stream without an event".to_owned()),
            (false, true) => Err("a stream that broke off before its end".to_owned()),
        }
    }

    fn declined(&self) -> bool {
        self.declined
    }
}
