//! Server-sent events (WHATWG HTML, section 9.2): reading a whole body of them, writing single ones.

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::{FutureExt, StreamExt, stream};

/// The content type of a stream of events.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// OpenAI's end of a stream.
pub const DONE: &str = "[DONE]";

/// The data of every event in a complete body, in order.
///
/// # Errors
/// When the body is not UTF-8 or not a stream of events.
pub fn read_all(body: &[Bytes]) -> Result<Vec<String>, String> {
    let chunks = stream::iter(body.iter().cloned().map(Ok::<_, std::convert::Infallible>));
    let events =
        chunks.eventsource().map(|event| event.map(|event| event.data).map_err(|error| error.to_string()));
    // Everything is in memory already, so the stream never waits.
    events.collect::<Vec<_>>().now_or_never().unwrap_or_default().into_iter().collect()
}

/// One event that carries `data`.
pub fn event(data: &str) -> Bytes {
    format!("data: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_events_however_they_are_cut() {
        let body = ": hello\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: é\n\ndata: [DONE]\n\n".as_bytes();
        for cut in 1..body.len() {
            let parts = [Bytes::copy_from_slice(&body[..cut]), Bytes::copy_from_slice(&body[cut..])];
            assert_eq!(read_all(&parts).unwrap(), ["{\"a\":\n1}", "é", "[DONE]"], "cut at {cut}");
        }
    }
}
