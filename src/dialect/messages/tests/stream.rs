//! Streams in Anthropic's format, event by event.

use serde_json::Map;

use super::{
    super::{super::sse::Event, events::event},
    *,
};
use crate::dialect::stream::{Reader, Said};

fn reader() -> Box<dyn Reader> {
    MESSAGES.reader(&asked())
}

fn message_start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1}}})
}

fn start(index: usize, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text(index: usize, text: &str) -> Value {
    delta(index, &json!({"type": "text_delta", "text": text}))
}

fn stop(index: usize) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn ends(reason: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]
}

fn stream() -> Vec<Value> {
    let mut events = vec![
        message_start(),
        start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, &json!({"type": "signature_delta", "signature": "c2ln"})),
        stop(0),
        start(1, &json!({"type": "text", "text": ""})),
        text(1, "Hel"),
        text(1, "lo"),
        delta(
            1,
            &json!({"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "c0"}}),
        ),
        delta(
            1,
            &json!({"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "c1"}}),
        ),
        stop(1),
        start(2, &json!({"type": "tool_use", "id": "t", "name": "f", "input": {}})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": "{\"a"})),
        delta(2, &json!({"type": "input_json_delta", "partial_json": "\":1}"})),
        stop(2),
    ];
    events.extend(ends("tool_use"));
    events
}

fn bytes(events: &[Value]) -> Vec<Bytes> {
    events.iter().map(event).collect()
}

fn followed(events: &[Value]) -> Result<Vec<(String, String)>, String> {
    follow(&mut *reader(), &bytes(events))
}

/// Reads events, and shows them.
fn show(reader: &mut dyn Reader, events: &[Value]) -> Vec<Said> {
    let mut said = Vec::new();
    for json in events {
        let event = Event {
            raw: event(json),
            name: json["type"].as_str().unwrap().into(),
            data: Some(json.to_string()),
        };
        said.push(reader.read(&event, Some(json)).unwrap());
        reader.shown(json);
    }
    said
}

/// The data of events of ours.
fn data(events: &[Bytes]) -> Vec<Value> {
    let text = String::from_utf8(events.concat()).unwrap();
    let read = |event: &str| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let json: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", json["type"].as_str().unwrap()));
        json
    };
    text.split_terminator("\n\n").map(read).collect()
}

#[test]
fn a_streams_texts_are_followed() {
    let texts = followed(&stream()).unwrap();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(at, text)| (&**at, &**text)).collect();
    let expected = [
        ("/content/0/thinking", "hm"),
        ("/content/1/text", "Hello"),
        ("/content/1/citations/0/cited_text", "c0"),
        ("/content/1/citations/1/cited_text", "c1"),
        ("/content/2/name", "f"),
        ("/content/2/input", "{\"a\":1}"),
        // Where notices go.
        ("/content/-", ""),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_text_at_the_beginning_of_its_block_is_followed() {
    let mut events =
        vec![message_start(), start(0, &json!({"type": "text", "text": "He"})), text(0, "llo"), stop(0)];
    events.push(start(1, &json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}})));
    events.push(stop(1));
    events.extend(ends("end_turn"));
    let texts = followed(&events).unwrap();
    assert_eq!(texts[0], ("/content/0/text".to_owned(), "Hello".to_owned()));
    assert_eq!(texts[2], ("/content/1/input".to_owned(), "{\"a\":1}".to_owned()));
}

#[test]
fn what_is_not_known_is_followed_too() {
    let mut events = vec![
        message_start(),
        start(0, &json!({"type": "hologram", "caption": "a"})),
        delta(0, &json!({"type": "hologram_delta", "caption": "b"})),
        delta(0, &json!({"type": "text_delta", "text": "c", "aside": "d"})),
        stop(0),
        json!({"type": "weather", "delta": {"text": "e"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": "f",
            "stop_details": {"type": "refusal", "category": "bio", "explanation": "g"}}, "usage": {}, "more": "h"}),
    ];
    events.push(json!({"type": "message_stop"}));
    let mut seen: Vec<String> = followed(&events).unwrap().into_iter().map(|(_, text)| text).collect();
    seen.sort();
    assert_eq!(seen, ["ab", "c", "d", "e", "f", "g", "h"]);
    let mut reader = reader();
    show(&mut *reader, &events);
    assert!(reader.declined());
}

#[test]
fn a_stream_that_is_none_is_told() {
    let error = |events: &[Value]| followed(events).unwrap_err();
    assert!(error(&stream()[..8]).contains("broke off"));
    assert!(error(&[json!({"type": "ping"})]).contains("without a message"));
    assert!(
        follow(&mut *reader(), &[Bytes::from_static(b"data: {oops\n\n")]).unwrap_err().contains("not a JSON")
    );
    assert!(
        follow(&mut *reader(), &[Bytes::from_static(b"data: [DONE]\n\n")])
            .unwrap_err()
            .contains("not a JSON")
    );
    let with = |event: Value| error(&[message_start(), event]);
    assert!(with(start(4_000_000, &json!({"type": "text"}))).contains("an index of"));
    assert!(with(text(0, "x")).contains("not open"));
    assert!(with(stop(0)).contains("not open"));
    assert!(with(json!({"type": "content_block_stop"})).contains("number of its block"));
    let open = start(0, &json!({"type": "text", "text": ""}));
    assert!(error(&[message_start(), open.clone(), open.clone()]).contains("begins twice"));
    assert!(error(&[message_start(), open, stop(0), text(0, "x")]).contains("not open"));
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "secret"}});
    assert_eq!(with(overloaded), "an error event in its stream");
}

#[test]
fn a_stop_that_is_missing_is_added() {
    let mut reader = reader();
    let events = stream();
    show(&mut *reader, &events[..events.len() - 1]);
    assert_eq!(data(&reader.end().unwrap()), [json!({"type": "message_stop"})]);
    // And what some servers add behind it is nobody's.
    let done = Event { raw: Bytes::new(), name: String::new(), data: Some("[DONE]".to_owned()) };
    assert!(reader.read(&done, None).is_ok());
}

#[test]
fn a_refusal_goes_on_in_the_open_text() {
    let mut reader = reader();
    show(&mut *reader, &[message_start(), start(0, &json!({"type": "text", "text": ""})), text(0, "Shown.")]);
    let ending = data(&reader.refuse("No.", Some("cyber")));
    let details = json!({"type": "refusal", "category": "cyber", "explanation": "No."});
    let expected = [
        text(0, "\n\nNo."),
        stop(0),
        json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": null, "stop_details": details},
            "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(ending, expected);
}

#[test]
fn a_refusal_closes_what_is_open_and_opens_a_text() {
    let mut reader = reader();
    // What was read is ahead of what was shown: a whole block more, and the end.
    let events = stream();
    for json in &events {
        let event = Event { raw: Bytes::new(), name: String::new(), data: Some(json.to_string()) };
        reader.read(&event, Some(json)).unwrap();
    }
    events[..4].iter().for_each(|json| reader.shown(json));
    let ending = data(&reader.refuse("No.", None));
    assert_eq!(ending[0], stop(0));
    assert_eq!(ending[1], start(1, &json!({"type": "text", "text": ""})));
    assert_eq!(ending[2], text(1, "No."));
    assert_eq!(ending[3], stop(1));
    assert_eq!(ending[4]["usage"], json!({"output_tokens": 9}));
    assert_eq!(ending[4]["delta"]["stop_details"]["category"], Value::Null);
}

#[test]
fn a_refusal_before_anything_was_shown_is_a_whole_message() {
    let mut reader = reader();
    let ending = data(&reader.refuse("No.", None));
    assert_eq!(ending[0]["message"]["model"], "m");
    let texts = followed(&ending).unwrap();
    assert_eq!(texts[0], ("/content/0/text".to_owned(), "No.".to_owned()));
}

#[test]
fn what_is_said_behind_the_answer_is_a_block_of_its_own() {
    let mut reader = reader();
    let events = stream();
    show(&mut *reader, &events[..events.len() - 1]);
    let closing = reader.closing().unwrap();
    let appended = data(&[reader.append(closing, "Note.")]);
    assert_eq!(appended, [start(3, &json!({"type": "text", "text": ""})), text(3, "Note."), stop(3)]);
}

#[test]
fn more_of_an_open_text_is_a_delta_of_its_kind() {
    let mut reader = reader();
    let events = stream();
    show(&mut *reader, &events);
    let mut more = |track| data(&[reader.append(track, "x")])[0]["delta"].clone();
    assert_eq!(more(0), json!({"type": "thinking_delta", "thinking": "x"}));
    assert_eq!(more(1), json!({"type": "text_delta", "text": "x"}));
    assert_eq!(more(5), json!({"type": "input_json_delta", "partial_json": "x"}));
}

#[test]
fn a_signature_is_over_the_texts_of_its_block() {
    let said = show(&mut *reader(), &stream());
    assert_eq!(said[4].signed, [(0, "/delta/signature".to_owned())]);
    assert!(said.iter().enumerate().all(|(i, said)| i == 4 || said.signed.is_empty()));
}

#[test]
fn what_breaks_off_ends_with_an_error_event() {
    let broken = data(&reader().broken("gone"));
    assert_eq!(broken, [json!({"type": "error", "error": {"type": "api_error", "message": "gone"}})]);
}

#[test]
fn members_of_our_own_ride_on_a_ping() {
    let members = Map::from_iter([("demur".to_owned(), json!({"input": 1}))]);
    let attached = reader().attach(&members).unwrap();
    assert_eq!(data(&[attached]), [json!({"type": "ping", "demur": {"input": 1}})]);
    let whole = json!({"content": [], "demur": {"input": 1}, "stop_reason": "end_turn"});
    let events = data(&answer(&whole).into_events(&asked()));
    assert_eq!(events[2], json!({"type": "ping", "demur": {"input": 1}}));
    assert_eq!(events[0]["message"].get("demur"), None);
}
