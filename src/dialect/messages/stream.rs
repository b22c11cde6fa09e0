//! The events of a streamed message, one by one.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    super::{
        Asked,
        sse::{DONE, Event},
        stream::{MAX_INDEX, Piece, Reader, Said, Track},
    },
    answer::{self, OTHER, REFUSAL},
    blocks::{self, Found},
    error, events,
};
use crate::message::Place;

/// How far a block has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Ahead,
    Open,
    Closed,
}

/// A content block.
#[derive(Clone, Default)]
struct Block {
    kind: String,
    read: Stage,
    shown: Stage,
    citations: usize,
}

/// What adds to a track.
#[derive(Clone)]
enum More {
    /// A delta of this block, of this type, with a text in this member.
    Delta(usize, String, String),
    /// A block of text behind the others.
    Block,
    /// Nothing: such a text stands in one event.
    Nothing,
}

/// A stream of content blocks.
pub(super) struct Blocks {
    /// The message as it begins: id, model and usage.
    message: Value,
    tracks: Vec<Track>,
    more: Vec<More>,
    known: HashMap<String, usize>,
    blocks: Vec<Block>,
    /// What the answer cost, as the stream's end says it.
    usage: Option<Value>,
    /// The track of what stands behind all blocks.
    closing: Option<usize>,
    /// Events with a text: about as many tokens.
    tokens: u64,
    begun: bool,
    stopped: bool,
    done: bool,
    declined: bool,
    shown_begun: bool,
    worded: bool,
}

impl Blocks {
    pub(super) fn new(asked: &Asked) -> Self {
        let message = json!({
            "id": "msg_demur", "type": "message", "role": "assistant", "model": asked.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0},
        });
        Self {
            message,
            tracks: Vec::new(),
            more: Vec::new(),
            known: HashMap::new(),
            blocks: Vec::new(),
            usage: None,
            closing: None,
            tokens: 0,
            begun: false,
            stopped: false,
            done: false,
            declined: false,
            shown_begun: false,
            worded: false,
        }
    }

    /// The track of the text at this place of the whole message.
    fn track(&mut self, pointer: String, place: Place, more: More) -> usize {
        let next = self.tracks.len();
        let track = *self.known.entry(pointer.clone()).or_insert(next);
        if track == next {
            // Notices before the answer stand before its first words.
            let is_words =
                place == Place::Content && pointer.starts_with("/content/") && pointer.ends_with("/text");
            let visible = is_words && !self.tracks.iter().any(|track| track.visible);
            self.tracks.push(Track { place, pointer, visible });
            self.more.push(more);
        }
        track
    }

    /// Texts that stand in this event, below `from`, and in the whole message below `to`. No other event adds to them
    /// but deltas of the members that `grows` names.
    fn pieces(
        &mut self,
        found: Vec<Found<'_>>,
        from: &str,
        to: &str,
        said: &mut Said,
        grows: impl Fn(&str) -> More,
    ) {
        for Found { at, text, voice } in found {
            let below = at.strip_prefix(from).unwrap_or(&at);
            let more = grows(below);
            let ends = matches!(more, More::Nothing);
            let track = self.track(format!("{to}{below}"), voice.place, more);
            if ends {
                said.ends.push(track);
            }
            said.pieces.push(Piece { track, pointer: at, text: text.into_owned(), whole: false });
        }
    }

    fn read_start(&mut self, json: &Value, said: &mut Said) -> Result<(), String> {
        let i = index(json)?;
        if self.blocks.len() <= i {
            self.blocks.resize(i + 1, Block::default());
        }
        let block = &mut self.blocks[i];
        if block.read != Stage::Ahead {
            return Err(format!("a block that begins twice: {i}"));
        }
        let content = &json["content_block"];
        let kind = blocks::kind(content);
        (block.kind, block.read) = (kind.to_owned(), Stage::Open);
        let delta = |kind: &str, key: &str| More::Delta(i, kind.to_owned(), key.to_owned());
        let grows = |below: &str| match below {
            "/text" => delta("text_delta", "text"),
            "/thinking" => delta("thinking_delta", "thinking"),
            "/input" => delta("input_json_delta", "partial_json"),
            _ => More::Nothing,
        };
        let found = answer::content(content, "/content_block");
        self.pieces(found, "/content_block", &format!("/content/{i}"), said, grows);
        if !content["signature"].as_str().unwrap_or_default().is_empty() {
            self.sign(i, "/content_block/signature", said);
        }
        Ok(())
    }

    fn read_delta(&mut self, json: &Value, said: &mut Said) -> Result<(), String> {
        let i = self.open(json)?;
        let delta = &json["delta"];
        let kind = blocks::kind(delta);
        let to = format!("/content/{i}");
        let grows = |member: &str, key: &str, place| (format!("{to}/{member}"), key.to_owned(), place);
        let known = match kind {
            "text_delta" => Some(grows("text", "text", Place::Content)),
            "thinking_delta" => Some(grows("thinking", "thinking", Place::Reasoning)),
            "input_json_delta" => Some(grows("input", "partial_json", Place::ToolCall)),
            _ => None,
        };
        let mut rest = answer::content(delta, "/delta");
        if let Some((pointer, key, place)) = known {
            let from = format!("/delta/{key}");
            rest.retain(|found| found.at != from);
            if let Some(text) = delta[&key].as_str().filter(|text| !text.is_empty()) {
                let track = self.track(pointer, place, More::Delta(i, kind.to_owned(), key));
                said.pieces.push(Piece { track, pointer: from, text: text.to_owned(), whole: false });
            }
        }
        if kind == "citations_delta" {
            let n = self.blocks[i].citations;
            self.blocks[i].citations += 1;
            rest.iter_mut().for_each(|found| found.voice.place = Place::Other);
            self.pieces(rest, "/delta/citation", &format!("{to}/citations/{n}"), said, |_| More::Nothing);
        } else {
            let grows = |below: &str| match below.trim_start_matches('/') {
                deeper if deeper.contains('/') => More::Nothing,
                key => More::Delta(i, kind.to_owned(), key.to_owned()),
            };
            self.pieces(rest, "/delta", &to, said, grows);
        }
        if !delta["signature"].as_str().unwrap_or_default().is_empty() {
            self.sign(i, "/delta/signature", said);
        }
        Ok(())
    }

    fn read_stop(&mut self, json: &Value, said: &mut Said) -> Result<(), String> {
        let i = self.open(json)?;
        self.blocks[i].read = Stage::Closed;
        said.ends.extend(self.of_block(i));
        Ok(())
    }

    fn read_message_delta(&mut self, json: &Value, said: &mut Said) {
        let reason = &json["delta"]["stop_reason"];
        self.stopped |= reason.is_string();
        self.declined |= reason == REFUSAL;
        if json["usage"].is_object() {
            self.usage = Some(json["usage"].clone());
        }
        let mut found = answer::beside(&json["delta"], "/delta");
        found.extend(answer::content(&json["delta"]["content"], "/delta/content"));
        self.pieces(found, "/delta", "", said, |_| More::Nothing);
        if self.blocks.iter().any(|block| block.kind == "text") {
            let track = self.track("/content/-".to_owned(), Place::Content, More::Block);
            self.closing = Some(track);
            said.ends.push(track);
        }
    }

    /// What an event says beside the members that were looked at by name.
    fn read_rest(&mut self, json: &Value, said: &mut Said) {
        let read: &[&str] = match blocks::kind(json) {
            "message_start" => &["message"],
            "content_block_start" => &["content_block"],
            "content_block_delta" => &["delta"],
            "message_delta" => &["delta", "usage"],
            _ => &[],
        };
        let members = json.as_object().into_iter().flatten();
        for (key, value) in members.filter(|(key, _)| *key != "type" && !read.contains(&key.as_str())) {
            self.pieces(blocks::texts(value, &format!("/{key}"), OTHER), "", "/..", said, |_| More::Nothing);
        }
    }

    /// The block that an event is about, which must be open.
    fn open(&self, json: &Value) -> Result<usize, String> {
        let i = index(json)?;
        match self.blocks.get(i) {
            Some(block) if block.read == Stage::Open => Ok(i),
            _ => Err(format!("a piece of a block that is not open: {i}")),
        }
    }

    fn of_block(&self, i: usize) -> impl Iterator<Item = usize> {
        let within = format!("/content/{i}/");
        let tracks = self.tracks.iter().enumerate();
        tracks.filter(move |(_, track)| track.pointer.starts_with(&within)).map(|(track, _)| track)
    }

    /// A signature is over all of a block's texts.
    fn sign(&self, i: usize, at: &str, said: &mut Said) {
        said.signed.extend(self.of_block(i).map(|track| (track, at.to_owned())));
    }

    /// The number of the next block to be shown.
    fn next(&self) -> usize {
        self.blocks.iter().rposition(|block| block.shown != Stage::Ahead).map_or(0, |last| last + 1)
    }

    fn usage(&self) -> Value {
        self.usage.clone().unwrap_or_else(|| json!({"output_tokens": self.tokens}))
    }
}

impl Reader for Blocks {
    fn read(&mut self, event: &Event, json: Option<&Value>) -> Result<Said, String> {
        let mut said = Said::default();
        let Some(data) = event.data.as_deref().filter(|_| !self.done) else { return Ok(said) };
        if self.stopped && data.trim() == DONE {
            return Ok(said);
        }
        let json = json.filter(|json| json.is_object()).ok_or("an event that is not a JSON object")?;
        match blocks::kind(json) {
            kind if kind == error::ERROR || event.name == error::ERROR => {
                return Err("an error event in its stream".to_owned());
            }
            "message_start" => {
                self.begun = true;
                let message = &json["message"];
                for key in ["id", "model", "usage"] {
                    if let Some(value) = message.get(key).filter(|value| !value.is_null()) {
                        self.message[key] = value.clone();
                    }
                }
                let mut found = answer::content(&message["content"], "/message/content");
                found.extend(answer::beside(message, "/message"));
                self.pieces(found, "/message", "", &mut said, |_| More::Nothing);
            }
            "content_block_start" => self.read_start(json, &mut said)?,
            "content_block_delta" => self.read_delta(json, &mut said)?,
            "content_block_stop" => self.read_stop(json, &mut said)?,
            "message_delta" => self.read_message_delta(json, &mut said),
            "message_stop" => {
                self.done = true;
                said.last = true;
            }
            _ => {}
        }
        self.read_rest(json, &mut said);
        self.tokens += u64::from(!said.pieces.is_empty());
        Ok(said)
    }

    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn closing(&self) -> Option<usize> {
        // Not known before the end; until then no track is.
        Some(self.closing.unwrap_or(usize::MAX))
    }

    fn shown(&mut self, json: &Value) {
        let is_word = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
        let kind = blocks::kind(json);
        self.shown_begun |= kind == "message_start";
        let block = index(json).ok().and_then(|i| self.blocks.get_mut(i));
        match (kind, block) {
            ("content_block_start", Some(block)) => {
                block.shown = Stage::Open;
                self.worded |= is_word(&json["content_block"]["text"]);
            }
            ("content_block_delta", Some(_)) => self.worded |= is_word(&json["delta"]["text"]),
            ("content_block_stop", Some(block)) => block.shown = Stage::Closed,
            _ => {}
        }
    }

    fn append(&mut self, track: usize, text: &str) -> Bytes {
        match self.more[track].clone() {
            More::Delta(i, kind, key) => {
                self.worded |= kind == "text_delta";
                events::delta(i, &kind, &key, text)
            }
            More::Block => {
                let i = self.next();
                self.blocks.resize(self.blocks.len().max(i + 1), Block::default());
                self.blocks[i].shown = Stage::Closed;
                self.worded = true;
                events::text_block(i, text).concat().into()
            }
            More::Nothing => events::ping(&Map::new()),
        }
    }

    fn attach(&mut self, members: &Map<String, Value>) -> Option<Bytes> {
        Some(events::ping(members))
    }

    fn refuse(&mut self, text: &str, hazard: Option<&'static str>) -> Vec<Bytes> {
        let mut ending = Vec::new();
        if !self.shown_begun {
            ending.push(events::event(&json!({"type": "message_start", "message": self.message})));
        }
        let line = if self.worded { "\n\n" } else { "" };
        let said = format!("{line}{text}");
        let open = (0..self.blocks.len()).filter(|&i| self.blocks[i].shown == Stage::Open);
        let (words, others): (Vec<usize>, Vec<usize>) = open.partition(|&i| self.blocks[i].kind == "text");
        ending.extend(others.into_iter().map(events::stop));
        match words.split_last() {
            Some((&last, before)) => {
                ending.extend(before.iter().map(|&i| events::stop(i)));
                ending.extend([events::delta(last, "text_delta", "text", said), events::stop(last)]);
            }
            None => ending.extend(events::text_block(self.next(), &said)),
        }
        let delta = json!({
            "stop_reason": REFUSAL, "stop_sequence": null, "stop_details": answer::stop_details(text, hazard),
        });
        ending.push(events::event(&json!({"type": "message_delta", "delta": delta, "usage": self.usage()})));
        ending.push(events::message_stop());
        ending
    }

    fn broken(&mut self, message: &str) -> Vec<Bytes> {
        vec![events::event(&error::error("api_error", message, None))]
    }

    fn end(&mut self) -> Result<Vec<Bytes>, String> {
        if self.done {
            return Ok(Vec::new());
        }
        if !self.begun {
            return Err("a stream without a message".to_owned());
        }
        if self.stopped && self.blocks.iter().all(|block| block.read != Stage::Open) {
            return Ok(vec![events::message_stop()]);
        }
        Err("a stream that broke off before its end".to_owned())
    }

    fn declined(&self) -> bool {
        self.declined
    }
}

/// The number of a block.
fn index(json: &Value) -> Result<usize, String> {
    let index = json["index"].as_u64().ok_or("an event without the number of its block")?;
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if index > MAX_INDEX { Err(format!("an index of {index}, more than {MAX_INDEX}")) } else { Ok(index) }
}
