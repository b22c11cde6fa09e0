//! Streams of responses: what is read of them, and what Demur adds.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{super::RESPONSES, asked};
use crate::dialect::{
    Dialect,
    sse::{Event, Events},
    stream::{Reader, testing::follow},
};

fn event(json: &Value) -> Bytes {
    Bytes::from(format!("event: {}\ndata: {json}\n\n", json["type"].as_str().unwrap()))
}

/// The data of events as JSON.
pub(super) fn data(body: &[Bytes]) -> Vec<Value> {
    read(body).iter().map(|event| serde_json::from_str(event.data.as_deref().unwrap()).unwrap()).collect()
}

fn read(body: &[Bytes]) -> Vec<Event> {
    let mut events = Events::default();
    events.push(&body.concat());
    std::iter::from_fn(|| events.next().map(Result::unwrap)).collect()
}

fn response(status: &str, output: &Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 7, "status": status, "model": "m", "output": output,
           "instructions": "the client's own", "error": null, "incomplete_details": null, "usage": null})
}

/// A reasoning item, a tool call, and a message of two words.
fn stream() -> Vec<Value> {
    let reasoning =
        json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]});
    let call = |arguments: &str, status: &str| json!({"id": "fc_1", "type": "function_call", "status": status, "call_id": "c", "name": "f", "arguments": arguments});
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let message = |content: &Value, status: &str| json!({"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": content});
    let done = message(&json!([part("Hello you")]), "completed");
    let events = [
        json!({"type": "response.created", "response": response("in_progress", &json!([]))}),
        json!({"type": "response.in_progress", "response": response("in_progress", &json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning", "summary": []}}),
        json!({"type": "response.reasoning_summary_part.added", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": "Hm."}),
        json!({"type": "response.reasoning_summary_text.done", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "text": "Hm."}),
        json!({"type": "response.reasoning_summary_part.done", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": "Hm."}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": reasoning}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": call("", "in_progress")}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1, "delta": "{\"a", "obfuscation": "xyz"}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 1, "delta": "\":1}"}),
        json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 1, "arguments": "{\"a\":1}"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": call("{\"a\":1}", "completed")}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": message(&json!([]), "in_progress")}),
        json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 2, "content_index": 0, "part": part("")}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 2, "content_index": 0, "delta": "Hello ", "logprobs": []}),
        json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 2, "content_index": 0, "delta": "you", "logprobs": []}),
        json!({"type": "response.output_text.done", "item_id": "msg_1", "output_index": 2, "content_index": 0, "text": "Hello you", "logprobs": []}),
        json!({"type": "response.content_part.done", "item_id": "msg_1", "output_index": 2, "content_index": 0, "part": part("Hello you")}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": done}),
        json!({"type": "response.completed", "response": response("completed", &json!([reasoning, call("{\"a\":1}", "completed"), done]))}),
    ];
    let numbered = events.into_iter().enumerate().map(|(i, mut event)| {
        event["sequence_number"] = i.into();
        event
    });
    numbered.collect()
}

fn bytes(events: &[Value]) -> Vec<Bytes> {
    events.iter().map(event).collect()
}

fn followed(events: &[Value]) -> Vec<(String, String)> {
    follow(&mut *RESPONSES.reader(&asked()), &bytes(events)).unwrap()
}

#[test]
fn a_streams_texts_are_followed_and_each_is_one() {
    let expected = [
        ("/output/0/summary/0/text", "Hm."),
        ("/output/1/name", "f"),
        ("/output/1/arguments", "{\"a\":1}"),
        ("/output/2/content/0/text", "Hello you"),
    ];
    let texts = followed(&stream());
    let texts: Vec<(&str, &str)> = texts.iter().map(|(at, text)| (&**at, &**text)).collect();
    assert_eq!(texts, expected);
}

#[test]
fn what_no_specification_names_is_followed_too() {
    let mut events = stream();
    let tail = events.split_off(16);
    events.push(
        json!({"type": "response.murmur.delta", "item_id": "msg_1", "output_index": 2, "delta": "psst "}),
    );
    events.push(
        json!({"type": "response.murmur.delta", "item_id": "msg_1", "output_index": 2, "delta": "hey"}),
    );
    events.push(json!({"type": "response.output_text.annotation.added", "item_id": "msg_1", "output_index": 2,
        "content_index": 0, "annotation_index": 0, "annotation": {"type": "url_citation", "title": "cited"}, "aside": "by the way"}));
    events.push(json!({"type": "response.audio.transcript.delta", "delta": "spoken"}));
    events.push(json!({"type": "response.audio.delta", "delta": "UklGRg=="}));
    events.push(json!({"type": "response.output_text.delta", "output_index": 2, "content_index": 0, "delta": "", "text": "beside"}));
    events.extend(tail);
    let texts: Vec<String> = followed(&events).into_iter().map(|(_, text)| text).collect();
    for expected in ["psst hey", "cited", "by the way", "spoken", "beside"] {
        assert!(texts.iter().any(|text| text == expected), "{expected} in {texts:?}");
    }
    assert!(!texts.iter().any(|text| text.contains("UklGRg")));
}

#[test]
fn streamed_log_probabilities_are_a_text_of_their_own() {
    let mut events = stream();
    let listed = |token: &str, other: &str| json!([{"token": token, "top_logprobs": [{"token": other}]}]);
    events[15]["logprobs"] = listed("Hello ", "x");
    events[16]["logprobs"] = listed("you", "y");
    let spelled = json!([listed("Hello ", "x")[0], listed("you", "y")[0]]);
    events[17]["logprobs"] = spelled.clone();
    events[18]["part"]["logprobs"] = spelled.clone();
    events[19]["item"]["content"][0]["logprobs"] = spelled.clone();
    events[20]["response"]["output"][2]["content"][0]["logprobs"] = spelled;
    let texts = followed(&events);
    assert_eq!(texts.last().unwrap().1, "x y ");
}

#[test]
fn a_stream_that_is_none_is_told() {
    let error = |events: &[Bytes]| follow(&mut *RESPONSES.reader(&asked()), events).unwrap_err();
    assert!(error(&bytes(&stream()[..10])).contains("broke off"));
    assert!(error(&[Bytes::from_static(b"<html>oops</html>")]).contains("without an event"));
    assert!(error(&[Bytes::from_static(b"data: {oops\n\n")]).contains("not JSON"));
    assert!(error(&[Bytes::from_static(b"data: [1]\n\n")]).contains("not an object"));
    for member in ["output_index", "content_index"] {
        let mut jump = stream()[15].clone();
        jump[member] = json!(4_000_000_000_u64);
        assert!(error(&bytes(&[jump])).contains("index"));
    }
    let failed = json!({"type": "error", "code": "server_error", "message": "m", "param": null});
    assert!(error(&bytes(&[failed])).contains("error event"));
}

/// A reader that was shown the first events of the stream, after reading all of them.
fn shown(events: &[Value], shown: usize) -> Box<dyn Reader> {
    let mut reader = RESPONSES.reader(&asked());
    for (i, event) in read(&bytes(events)).iter().enumerate() {
        let mut json: Value = serde_json::from_str(event.data.as_deref().unwrap()).unwrap();
        reader.read(event, Some(&json)).unwrap();
        if i < shown {
            assert!(!reader.fit(&mut json));
            reader.shown(&json);
        }
    }
    reader
}

fn refused(count: usize) -> Vec<Value> {
    data(&shown(&stream()[..20], count).refuse("No.", None))
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

/// What a client has in the end that puts together what it was shown.
fn put_together(mut events: Vec<Value>, more: &[Value]) -> (Value, Vec<(String, String)>) {
    events.extend_from_slice(more);
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    // It follows them as one that every event agrees with.
    let texts = followed(&events);
    (events.pop().unwrap()["response"].take(), texts)
}

#[test]
fn a_refusal_goes_on_behind_what_was_shown() {
    let more = refused(16);
    let expected = [
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ];
    assert_eq!(types(&more), expected);
    let (response, texts) = put_together(stream()[..16].to_vec(), &more);
    assert!(
        texts.contains(&("/output/2/content/0/text".to_owned(), "Hello \n\nNo.".to_owned())),
        "{texts:?}"
    );
    assert_eq!((&response["id"], &response["status"]), (&json!("resp_1"), &json!("incomplete")));
    assert_eq!(response["incomplete_details"]["reason"], "content_filter");
    assert_eq!(response["output"][2]["content"][1], json!({"type": "refusal", "refusal": "No."}));
    assert_eq!(response["output"].as_array().unwrap().len(), 3);
    assert!(response["usage"]["output_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_refusal_in_a_tool_call_closes_it_as_it_was_shown() {
    let more = refused(10);
    let (response, texts) = put_together(stream()[..10].to_vec(), &more);
    assert_eq!(&types(&more)[..3], ["function_call_arguments.done", "output_item.done", "output_item.added"]);
    assert!(texts.contains(&("/output/1/arguments".to_owned(), "{\"a".to_owned())), "{texts:?}");
    assert_eq!(response["output"][1]["status"], "incomplete");
    // No words were shown before it, so it stands on the first line.
    assert_eq!(response["output"][2]["content"][0]["text"], "No.");
}

#[test]
fn a_refusal_in_a_summary_closes_it_as_it_was_shown() {
    let more = refused(5);
    let expected = [
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
    ];
    assert_eq!(&types(&more)[..4], expected);
    put_together(stream()[..5].to_vec(), &more);
}

#[test]
fn a_refusal_before_any_text_is_a_completed_response() {
    for count in 0..4 {
        let more = refused(count);
        let (response, _) = put_together(stream()[..count].to_vec(), &more);
        assert_eq!((&response["id"], &response["status"]), (&json!("resp_1"), &json!("completed")));
        assert!(response["incomplete_details"].is_null());
        assert_eq!(types(&more).contains(&"created"), count == 0);
    }
}

#[test]
fn a_refusal_behind_a_message_is_one_of_its_own_and_on_a_new_line() {
    let more = refused(20);
    let (response, _) = put_together(stream()[..20].to_vec(), &more);
    assert_eq!(response["output"][3]["content"][0]["text"], "\n\nNo.");
    assert_eq!(response["output"][2]["content"][0]["text"], "Hello you");
}

#[test]
fn what_is_added_is_counted_in_the_events_behind_it() {
    let events = stream();
    let mut reader = shown(&events, 17);
    let track = reader.tracks().iter().position(|track| track.visible).unwrap();
    let added = data(&[reader.append(track, "!")]).remove(0);
    assert_eq!((&added["type"], &added["delta"]), (&json!("response.output_text.delta"), &json!("!")));
    assert_eq!((&added["sequence_number"], &added["item_id"]), (&json!(17), &json!("msg_1")));
    let mut next = events[17].clone();
    assert!(reader.fit(&mut next));
    assert_eq!(next["sequence_number"], 18);
    reader.shown(&next);
    let broken = data(&reader.broken("gone")).remove(0);
    assert_eq!(
        (&broken["type"], &broken["code"], &broken["message"]),
        (&json!("error"), &json!("upstream_broken"), &json!("gone"))
    );
    assert_eq!(broken["sequence_number"], 19);
}

#[test]
fn more_of_a_text_of_an_unknown_kind_comes_in_such_an_event() {
    let mut reader = RESPONSES.reader(&asked());
    let murmur = json!({"type": "response.murmur.delta", "output_index": 0, "delta": {"low": "psst"}, "sequence_number": 4});
    reader.read(&read(&[event(&murmur)])[0], Some(&murmur)).unwrap();
    reader.shown(&murmur);
    let more = data(&[reader.append(0, "!")]).remove(0);
    assert_eq!(
        more,
        json!({"type": "response.murmur.delta", "output_index": 0, "delta": {"low": "!"}, "sequence_number": 5})
    );
}

#[test]
fn members_of_demurs_own_go_into_the_last_response() {
    let events = stream();
    let members = Map::from_iter([("demur".to_owned(), json!({"input": 1}))]);
    let mut reader = shown(&events, 20);
    assert!(reader.attach(&members).is_none());
    let mut last = events[20].clone();
    assert!(reader.fit(&mut last));
    assert_eq!(last["response"]["demur"], json!({"input": 1}));
    let mut reader = shown(&events[..16], 16);
    reader.attach(&members);
    let last = data(&reader.refuse("No.", None)).pop().unwrap();
    assert_eq!(last["response"]["demur"], json!({"input": 1}));
}
