//! Server-sent events (WHATWG HTML, section 9.2): cutting a body into events however it arrives, writing single ones.

use bytes::{Bytes, BytesMut};
use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};

/// The content type of a stream of events.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// OpenAI's end of a stream.
pub const DONE: &str = "[DONE]";

/// What keeps a connection alive and says nothing.
const COMMENT: &[u8] = b":\n\n";

/// The longest type of an event, in bytes.
const MAX_NAME: usize = 64;

/// One event, and the bytes it came as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its bytes, the blank line at the end included. Lines that nobody judges are left out: comments, ids, and fields
    /// that no client knows.
    pub raw: Bytes,
    /// Its type; empty when it names none.
    pub name: String,
    /// Its data; `None` for a block of comments, which a client never sees.
    pub data: Option<String>,
}

/// Cuts a body into events.
#[derive(Debug, Default)]
pub struct Events {
    held: BytesMut,
    /// Bytes in which no end of an event was found.
    looked: usize,
}

impl Events {
    /// Takes the next bytes. Events are then to be had one by one.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// What is left at the end of the body: an event without a blank line behind it, which clients would not look at. It
    /// gets one.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn finish(self) -> Option<Result<Event, String>> {
        let mut rest = self.held;
        if rest.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let ends: &[u8] = match &rest[..] {
            // That was one: only whether a line feed follows was not known.
            [.., b'\r' | b'\n', b'\r'] => b"",
            [.., b'\n'] => b"\n",
            _ => b"\n\n",
        };
        rest.extend_from_slice(ends);
        Some(event_of(rest.freeze()))
    }
}

/// The next event that is complete, or that it is not UTF-8. More may follow behind a `None`.
impl Iterator for Events {
    type Item = Result<Event, String>;

    fn next(&mut self) -> Option<Self::Item> {
        // An end may have begun in what was looked at: `\r\n\r` is three bytes of one.
        let from = self.looked.saturating_sub(3);
        let Some(end) = end_of_event(&self.held[from..]).map(|end| from + end) else {
            self.looked = self.held.len();
            return None;
        };
        self.looked = 0;
        Some(event_of(self.held.split_to(end).freeze()))
    }
}

/// Where the first blank line ends. A `\r` at the end of what there is may be half a line's end, so it is waited for.
fn end_of_event(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(i) = memchr::memchr2(b'\n', b'\r', bytes.get(at..)?) {
        let line_end = after_line_end(bytes, at + i)?;
        match bytes.get(line_end)? {
            b'\n' | b'\r' => return after_line_end(bytes, line_end),
            _ => at = line_end,
        }
    }
    None
}

fn after_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\n', _) => Some(at + 1),
        (_, Some(b'\n')) => Some(at + 2),
        (_, Some(_)) => Some(at + 1),
        (_, None) => None,
    }
}

fn event_of(raw: Bytes) -> Result<Event, String> {
    std::str::from_utf8(&raw).map_err(|_| "an event that is not UTF-8".to_owned())?;
    // A blank line more ends an event that was cut off.
    let body =
        stream::iter([raw.clone(), Bytes::from_static(b"\n\n")].map(Ok::<_, std::convert::Infallible>));
    // Everything is in memory already, so the stream never waits.
    let parsed = body.eventsource().next().now_or_never().flatten();
    let (name, data) = match parsed {
        // `message` is the name of events that name none.
        Some(Ok(event)) => {
            (if event.event == "message" { String::new() } else { event.event }, Some(event.data))
        }
        Some(Err(error)) => return Err(error.to_string()),
        None => (String::new(), None),
    };
    if name.len() > MAX_NAME || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return Err("an event whose type is no name".to_owned());
    }
    let is_bare = |line: &[u8]| {
        matches!(line.split(|byte| *byte == b':').next(), Some(b"" | b"data" | b"event"))
            && !line.starts_with(b":")
    };
    let raw = match &data {
        None => Bytes::from_static(COMMENT),
        Some(_) if raw.split(|byte| matches!(byte, b'\n' | b'\r')).all(is_bare) => raw,
        Some(data) => named(&name, data),
    };
    Ok(Event { raw, name, data })
}

/// One event that carries `data`.
pub fn event(data: &str) -> Bytes {
    lines(data).into()
}

/// Data of several lines needs a field for each.
fn lines(data: &str) -> String {
    data.split('\n').fold(String::new(), |lines, line| lines + "data: " + line + "\n") + "\n"
}

/// One event of a type that carries `data`; without a name as [`event`].
pub fn named(name: &str, data: &str) -> Bytes {
    if name.is_empty() { event(data) } else { format!("event: {name}\n{}", lines(data)).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<Event> {
        let mut events = Events::default();
        let mut all = Vec::new();
        for piece in pieces {
            events.push(piece);
            for event in events.by_ref() {
                all.push(event.unwrap());
            }
        }
        all.extend(events.finish().map(Result::unwrap));
        all
    }

    #[test]
    fn reads_events_however_they_are_cut() {
        let body = ": hello\r\n\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nevent: x\ndata: é\n\ndata: [DONE]\n\n"
            .as_bytes();
        for cut in 1..body.len() {
            let events = all(&[&body[..cut], &body[cut..]]);
            let said: Vec<(&str, Option<&str>)> =
                events.iter().map(|event| (&*event.name, event.data.as_deref())).collect();
            let expected = [("", None), ("", Some("{\"a\":\n1}")), ("x", Some("é")), ("", Some("[DONE]"))];
            assert_eq!(said, expected, "cut at {cut}");
            let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
            assert_eq!(raw, [&b":\n\n"[..], &body[11..]].concat(), "cut at {cut}");
        }
    }

    #[test]
    fn an_event_without_its_blank_line_is_what_is_left() {
        for (end, ended) in
            [("", "\n\n"), ("\n", "\n\n"), ("\r", "\r\n\n"), ("\r\r", "\r\r"), ("\r\n\r", "\r\n\r")]
        {
            let events = all(&[b"data: a\n\ndata: b", end.as_bytes()]);
            assert_eq!(events[1].raw, format!("data: b{ended}"));
            assert_eq!(events.len(), 2);
        }
        assert!(all(&[b"data: a\n\n\n"]).len() == 1);
    }

    #[test]
    fn what_nobody_judges_is_left_out() {
        let events = all(&[b": a\nid: b\nevent: x\ndata: c\ndata: d\nfield: e\n\n"]);
        assert_eq!(events[0].raw, "event: x\ndata: c\ndata: d\n\n");
        let mut events = Events::default();
        events.push(b"event: a whole sentence\ndata: b\n\n");
        assert!(events.next().unwrap().is_err());
    }

    #[test]
    fn what_is_not_utf8_is_an_error() {
        let mut events = Events::default();
        events.push(b"data: \xff\n\n");
        assert!(events.next().unwrap().is_err());
    }
}
