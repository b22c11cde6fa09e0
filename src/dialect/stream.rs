//! A streamed answer, event by event: which texts an event carries a piece of, and the events that Demur adds.
//!
//! A stream holds several *tracks*, each one text that grows: the words of a choice, its reasoning, the arguments of a
//! tool call. A reader knows where the pieces stand in its dialect's events; the window over the texts is the guard's.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::sse::Event;
use crate::message::Place;

/// The most choices, items and tool calls that a stream may open, so that an index can't claim memory.
pub const MAX_INDEX: usize = 256;

/// One text of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The kind of field.
    pub place: Place,
    /// Where the text would stand in a whole answer: a JSON pointer.
    pub pointer: String,
    /// Whether it is the words of a choice that a person reads: notices go there.
    pub visible: bool,
}

/// A piece of a text, in one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which track it belongs to: its place in [`Reader::tracks`].
    pub track: usize,
    /// Where it stands in the event: a JSON pointer.
    pub pointer: String,
    /// The text.
    pub text: String,
    /// Whether this is not a next piece but the whole text, said once more at its end.
    pub whole: bool,
}

/// What an event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Pieces of texts.
    pub pieces: Vec<Piece>,
    /// Tracks that end with this event: nothing is to be added to them after it.
    pub ends: Vec<usize>,
    /// Where token log-probabilities stand that would still spell a text of this event after it was changed.
    pub spelled: Vec<String>,
    /// Signatures over texts: the track, and where the signature stands. It goes when something was taken out.
    pub signed: Vec<(usize, String)>,
    /// Whether the stream ends with it, as it should.
    pub last: bool,
}

/// Reads the events of one stream, and writes those that Demur adds. What was *read* may be ahead of what was *shown*:
/// refusals and other ends go by what was shown.
pub trait Reader: Send {
    /// Reads the next event. `json` is its data, where that is JSON.
    ///
    /// # Errors
    /// What is wrong with it; an error event of the upstream is reported as such.
    fn read(&mut self, event: &Event, json: Option<&Value>) -> Result<Said, String>;

    /// The texts met so far, in the order of [`Piece::track`].
    fn tracks(&self) -> &[Track];

    /// The track that takes the notices behind an answer whose words are several texts; by default each visible text
    /// takes them at its end.
    fn closing(&self) -> Option<usize> {
        None
    }

    /// Takes note of an event that is shown to the client.
    fn shown(&mut self, json: &Value);

    /// Fits an event that is about to be shown in behind those that Demur added; whether that changed it.
    fn fit(&mut self, _json: &mut Value) -> bool {
        false
    }

    /// An event that adds to a text that has not ended.
    fn append(&mut self, track: usize, text: &str) -> Bytes;

    /// Members of Demur's own, as an event before the end; none where the format has no room for them, or where they
    /// go along with the last event.
    fn attach(&mut self, members: &Map<String, Value>) -> Option<Bytes>;

    /// The events that end the stream with a refusal: the text behind what was shown, on a line of its own, then the
    /// end as the format has it.
    fn refuse(&mut self, text: &str, hazard: Option<&'static str>) -> Vec<Bytes>;

    /// The event that ends a stream which broke off, in the format's own form.
    fn broken(&mut self, message: &str) -> Vec<Bytes>;

    /// What is missing at the end of a stream whose texts all ended properly, such as `[DONE]`.
    ///
    /// # Errors
    /// The stream broke off before its end.
    fn end(&mut self) -> Result<Vec<Bytes>, String>;

    /// Whether the model itself declined, or a filter of the upstream's own.
    fn declined(&self) -> bool;
}

/// A number of a choice, item or part; servers that leave it out mean the first.
pub(super) fn index(value: &Value, member: &str) -> Result<usize, String> {
    let index = value[member].as_u64().unwrap_or(0);
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if index > MAX_INDEX { Err(format!("an index of {index}, more than {MAX_INDEX}")) } else { Ok(index) }
}

/// The reader of a format that has no streams: whatever comes is an error.
pub(super) struct NoStream;

impl NoStream {
    const ERROR: &'static str = "an event of a format that has no streams";
}

impl Reader for NoStream {
    fn read(&mut self, _event: &Event, _json: Option<&Value>) -> Result<Said, String> {
        Err(Self::ERROR.to_owned())
    }

    fn tracks(&self) -> &[Track] {
        &[]
    }

    fn shown(&mut self, _json: &Value) {}

    fn append(&mut self, _track: usize, _text: &str) -> Bytes {
        Bytes::new()
    }

    fn attach(&mut self, _members: &Map<String, Value>) -> Option<Bytes> {
        None
    }

    fn refuse(&mut self, _text: &str, _hazard: Option<&'static str>) -> Vec<Bytes> {
        Vec::new()
    }

    fn broken(&mut self, _message: &str) -> Vec<Bytes> {
        Vec::new()
    }

    fn end(&mut self) -> Result<Vec<Bytes>, String> {
        Err(Self::ERROR.to_owned())
    }

    fn declined(&self) -> bool {
        false
    }
}

#[cfg(test)]
pub(in crate::dialect) mod testing {
    //! What a reader makes of a whole stream.

    use super::{super::sse::Events, *};

    /// The texts of a stream by their pointers, in the order in which they began.
    pub(in crate::dialect) fn follow(
        reader: &mut dyn Reader,
        body: &[Bytes],
    ) -> Result<Vec<(String, String)>, String> {
        let mut cut = Events::default();
        let mut texts: Vec<(String, String)> = Vec::new();
        let mut read = |reader: &mut dyn Reader, event: Event| -> Result<(), String> {
            let json = event.data.as_deref().and_then(|data| serde_json::from_str(data).ok());
            let said = reader.read(&event, json.as_ref())?;
            let tracks = reader.tracks();
            texts.extend(tracks[texts.len()..].iter().map(|track| (track.pointer.clone(), String::new())));
            for piece in said.pieces {
                let text = &mut texts[piece.track].1;
                if piece.whole && !text.is_empty() {
                    assert_eq!(*text, piece.text, "said once more");
                } else {
                    text.push_str(&piece.text);
                }
                let found = json.as_ref().and_then(|json| json.pointer(&piece.pointer));
                // Names of members stand nowhere to be written.
                assert!(found.is_some() || piece.pointer.ends_with("/-"), "{} is in {json:?}", piece.pointer);
            }
            Ok(())
        };
        for bytes in body {
            cut.push(bytes);
            for event in cut.by_ref() {
                read(reader, event?)?;
            }
        }
        if let Some(event) = cut.finish() {
            read(reader, event?)?;
        }
        reader.end()?;
        Ok(texts)
    }
}
