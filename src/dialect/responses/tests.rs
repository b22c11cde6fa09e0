//! Requests and whole answers as bytes, as clients and upstreams send them.

mod streams;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{Answer, Asked, Dialect, Refusal, Request, stream::testing::follow},
    RESPONSES,
};
use crate::message::{Place, Role};

fn request(json: &Value) -> Request {
    Request::parse(&RESPONSES, Bytes::from(json.to_string())).unwrap()
}

pub(super) fn answer(json: &Value) -> Answer {
    Answer::read(&RESPONSES, Bytes::from(json.to_string())).unwrap()
}

pub(super) fn asked() -> Asked {
    Asked { model: "m".into(), stream: true, include_usage: true, n: 1, wants_moderation: false }
}

fn rich_request() -> Value {
    json!({
        "model": "m",
        "instructions": "i0",
        "prompt": {"id": "p", "variables": {"city": "v0", "file": {"type": "input_file", "filename": "v1", "file_id": "no"}}},
        "input": [
            {"role": "user", "content": "u0"},
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "d0"}]},
            {"role": "user", "content": [
                {"type": "input_image", "image_url": "no", "detail": "no", "title": "t0"},
                {"type": "input_file", "filename": "f0", "file_data": "no"},
                {"type": "input_audio", "input_audio": {"data": "no", "format": "no", "transcript": "a0"}},
                {"type": "input_hologram", "caption": {"words": ["h0"]}}]},
            {"type": "message", "id": "no", "role": "assistant", "status": "no", "content": [
                {"type": "output_text", "text": "o0", "annotations": [{"type": "no", "title": "o1", "url": "o2"}]},
                {"type": "refusal", "refusal": "r0"}]},
            {"type": "reasoning", "id": "no", "encrypted_content": "no", "summary": [{"type": "summary_text", "text": "s0"}],
             "content": [{"type": "reasoning_text", "text": "s1"}]},
            {"type": "function_call", "call_id": "no", "name": "c0", "arguments": "c1"},
            {"type": "function_call_output", "call_id": "no", "output": "x0"},
            {"type": "function_call_output", "call_id": "no", "output": [{"type": "input_text", "text": "x1"}]},
            {"type": "file_search_call", "id": "no", "queries": ["q0"], "results": [{"file_id": "no", "filename": "x2", "text": "x3", "attributes": {"type": "x4"}}]},
            {"type": "web_search_call", "action": {"type": "no", "query": "q1"}},
            {"type": "computer_call", "action": {"type": "no", "text": "c2"}, "pending_safety_checks": [{"id": "no", "message": "c3"}]},
            {"type": "computer_call_output", "output": {"type": "no", "image_url": "no"}},
            {"type": "mcp_list_tools", "tools": [{"name": "l0", "input_schema": {"type": "l1"}}]},
            {"type": "mcp_call", "name": "c4", "arguments": "c5", "output": "x5", "error": {"type": "x6"}},
            {"type": "custom_tool_call", "name": "c6", "input": "c7"},
            {"type": "custom_tool_call_output", "output": "x7"},
            {"type": "local_shell_call", "action": {"command": ["c8"], "env": {"id": "c9"}}},
            {"type": "local_shell_call_output", "output": "x8"},
            {"type": "code_interpreter_call", "code": "k0", "outputs": [{"type": "logs", "logs": "x9"}, {"type": "image", "url": "no"}]},
            {"type": "image_generation_call", "result": "no", "revised_prompt": "k1"},
            {"type": "item_reference", "id": "no"},
            {"type": "oracle", "id": "no", "saying": {"deep": ["w0"]}},
        ],
        "tools": [{"type": "l2", "name": "l3", "description": "l4"}],
        "tool_choice": "no",
        "text": {"format": {"type": "m0", "schema": {"description": "m1"}}, "verbosity": "no"},
        "metadata": {"k": "m2"},
        "user": "no", "safety_identifier": "no", "prompt_cache_key": "no", "previous_response_id": "no",
        "guided_choice": ["m3"],
    })
}

#[test]
fn every_text_that_the_model_reads_is_a_segment() {
    let mut segments = request(&rich_request()).segments();
    let names: Vec<String> =
        segments.extract_if(.., |s| s.pointer.ends_with("/-")).map(|s| s.text.to_string()).collect();
    assert_eq!(names, ["id", "k"]);
    assert!(!segments.iter().any(|s| &*s.text == "no"), "{segments:?}");
    // The first letter says what it is, and the count that none is left out.
    let expected = [
        ('i', Role::System, Place::Content, 1),
        ('u', Role::User, Place::Content, 1),
        ('d', Role::Developer, Place::Content, 1),
        ('t', Role::User, Place::Content, 1),
        ('f', Role::User, Place::Document, 1),
        ('a', Role::User, Place::Content, 1),
        ('h', Role::User, Place::Content, 1),
        ('r', Role::Assistant, Place::Refusal, 1),
        ('s', Role::Assistant, Place::Reasoning, 2),
        ('c', Role::Assistant, Place::ToolCall, 10),
        ('q', Role::Assistant, Place::ToolCall, 2),
        ('k', Role::Assistant, Place::ToolCall, 2),
        ('x', Role::Tool, Place::ToolResult, 10),
        ('l', Role::Developer, Place::ToolDefinition, 4),
        ('m', Role::Developer, Place::Other, 4),
        ('w', Role::User, Place::Other, 1),
    ];
    let mut counted = 0;
    for (letter, role, place, count) in expected {
        let of_letter: Vec<_> = segments.iter().filter(|s| s.text.starts_with(letter)).collect();
        assert_eq!(of_letter.len(), count, "{letter}: {of_letter:?}");
        assert!(of_letter.iter().all(|s| (s.role, s.place) == (role, place)), "{of_letter:?}");
        counted += count;
    }
    // `v` and `o` are of two places each.
    let others: Vec<&str> = segments.iter().map(|s| &*s.text).filter(|t| t.starts_with(['v', 'o'])).collect();
    assert_eq!(others, ["v0", "v1", "o0", "o1", "o2"]);
    assert_eq!(segments.len(), counted + others.len());
}

#[test]
fn every_segment_can_be_written_back() {
    let mut request = request(&rich_request());
    // Names of members can be refused, not taken out.
    let texts = |request: &Request| -> Vec<String> {
        let written = request.segments().into_iter().filter(|s| !s.pointer.ends_with("/-"));
        written.map(|s| s.text.to_string()).collect()
    };
    let expected: Vec<String> = texts(&request).iter().map(|text| format!("<{text}>")).collect();
    for segment in request.segments() {
        request.replace(&segment.pointer, format!("<{}>", segment.text));
    }
    assert_eq!(texts(&request), expected);
}

#[test]
fn a_bare_input_is_the_users_words() {
    let segments = request(&json!({"model": "m", "input": "hello"})).segments();
    assert_eq!(
        (segments[0].role, segments[0].place, &*segments[0].pointer),
        (Role::User, Place::Content, "/input")
    );
}

#[test]
fn guidance_stands_behind_the_operators_own() {
    for (own, expected) in [(json!(null), "g"), (json!("a"), "a\n\ng")] {
        let mut request = request(&json!({"model": "m", "input": "c", "instructions": own}));
        request.add_guidance("g");
        let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
        assert_eq!(json["instructions"], expected);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (json!({"input": "x"}), "model", "model"),
        (json!({"model": "m"}), "input", "missing"),
        (json!({"model": "m", "input": 3}), "input", "a number"),
        (json!({"model": "m", "input": "x", "background": true}), "background", "expected false"),
        (json!({"model": "m", "input": "x", "background": "yes"}), "background", "a boolean"),
        (json!({"model": "m", "input": "x", "instructions": ["a"]}), "instructions", "an array"),
        (json!({"model": "m", "input": "x", "stream": 1}), "stream", "a boolean"),
        (json!({"model": "m", "input": ["x"]}), "input[0]", "a string"),
        (json!({"model": "m", "input": [{"type": 1}]}), "input[0].type", "a number"),
        (json!({"model": "m", "input": [{"role": "boss", "content": "x"}]}), "input[0].role", "unknown role"),
        (json!({"model": "m", "input": [{"role": "user", "content": 5}]}), "input[0].content", "a number"),
        (
            json!({"model": "m", "input": [{"role": "user", "content": ["x"]}]}),
            "input[0].content[0]",
            "a string",
        ),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{}]}]}),
            "input[0].content[0]",
            "no `type`",
        ),
    ];
    for (body, param, message) in cases {
        let error = Request::parse(&RESPONSES, Bytes::from(body.to_string())).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert!(error.message.contains(message), "{body}: {}", error.message);
    }
}

#[test]
fn what_the_gateway_does_not_rely_on_is_the_upstreams_business() {
    request(&json!({"model": "m", "previous_response_id": "r"}));
    request(&json!({"model": "m", "input": [{"id": "msg_1"}], "store": true, "background": false}));
}

pub(super) fn rich_answer() -> Value {
    json!({
        "id": "no", "object": "no", "created_at": 1, "status": "completed", "model": "no",
        "instructions": "no", "metadata": {"k": "no"}, "tools": [{"name": "no"}], "error": null,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s0"}],
             "content": [{"type": "reasoning_text", "text": "s1"}], "encrypted_content": "no"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "no", "query": "q0"}},
            {"type": "function_call", "id": "fc_1", "call_id": "no", "name": "c0", "arguments": "{\"c\":1}", "status": "completed"},
            {"type": "custom_tool_call", "id": "ct_1", "call_id": "no", "name": "c1", "input": "c2"},
            {"type": "mcp_call", "id": "mc_1", "name": "c3", "arguments": "c4", "output": "x0"},
            {"type": "code_interpreter_call", "id": "ci_1", "code": "c5", "outputs": [{"type": "logs", "logs": "x1"}]},
            {"type": "file_search_call", "id": "fs_1", "queries": ["q1"], "results": [{"text": "x2"}]},
            {"type": "image_generation_call", "id": "ig_1", "result": "no", "revised_prompt": "p0"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "ab", "annotations": [{"type": "no", "title": "t0", "url": "t1"}],
                 "logprobs": [{"token": "a", "top_logprobs": [{"token": "a"}, {"token": "x"}]}, {"token": "b"}]},
                {"type": "refusal", "refusal": "r0"}]},
            {"type": "oracle", "id": "or_1", "saying": "w0"},
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        "horoscope": "h0",
    })
}

#[test]
fn every_text_that_the_client_sees_is_a_segment() {
    let texts: Vec<String> = answer(&rich_answer()).segments().iter().map(|s| s.text.to_string()).collect();
    let expected = [
        "s0",
        "s1",
        "q0",
        "c0",
        "{\"c\":1}",
        "c1",
        "c2",
        "c3",
        "c4",
        "x0",
        "c5",
        "x1",
        "q1",
        "x2",
        "p0",
        "ab",
        "t0",
        "t1",
        "x ",
        "r0",
        "w0",
        "h0",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_changed_text_takes_its_log_probabilities_along() {
    let mut answer = answer(&rich_answer());
    for segment in answer.segments() {
        answer.replace(&segment.pointer, format!("<{}>", segment.text));
    }
    let texts: Vec<String> = answer.segments().iter().map(|s| s.text.to_string()).collect();
    assert!(texts.iter().all(|text| text.starts_with('<')), "{texts:?}");
    assert_eq!(answer.json().pointer("/output/8/content/0/logprobs"), Some(&json!([])));
}

#[test]
fn log_probabilities_that_spell_another_text_are_one() {
    let mut body = rich_answer();
    body["output"][8]["content"][0]["logprobs"][1]["token"] = "c".into();
    let texts: Vec<String> = answer(&body).segments().iter().map(|s| s.text.to_string()).collect();
    assert!(texts.contains(&"ac x ".to_owned()), "{texts:?}");
}

#[test]
fn a_notice_stands_in_the_first_words() {
    let mut answer = answer(&rich_answer());
    answer.map_visible(|text| format!("{text}!"));
    assert_eq!(answer.json().pointer("/output/8/content/0/text"), Some(&json!("ab!")));
}

#[test]
fn a_whole_answer_as_a_stream_says_the_same() {
    let answer = answer(&rich_answer());
    let mut whole: Vec<(String, String)> =
        answer.segments().iter().map(|s| (s.pointer.clone(), s.text.to_string())).collect();
    let events = answer.into_events(&asked());
    let mut streamed = follow(&mut *RESPONSES.reader(&asked()), &events).unwrap();
    streamed.retain(|(pointer, _)| !pointer.starts_with("/.."));
    whole.sort();
    streamed.sort();
    assert_eq!(streamed, whole);
    let numbers: Vec<u64> =
        streams::data(&events).iter().map(|e| e["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_answer_is_no_response_without_output() {
    assert!(
        Answer::read(&RESPONSES, Bytes::from_static(b"{\"choices\":[]}")).unwrap_err().contains("output")
    );
}

#[test]
fn a_refusal_is_a_completed_message_that_every_client_shows() {
    let asked = asked();
    let refusal = Refusal { text: "No.", id: "7", created: 1, asked: &asked, instead: None, hazard: None };
    let json = RESPONSES.refusal(&refusal);
    assert_eq!(
        (&json["id"], &json["status"], &json["model"]),
        (&json!("resp_7"), &json!("completed"), &json!("m"))
    );
    let content = &json["output"][0]["content"];
    assert_eq!((&content[0]["type"], &content[0]["text"]), (&json!("output_text"), &json!("No.")));
    assert_eq!((&content[1]["type"], &content[1]["refusal"]), (&json!("refusal"), &json!("No.")));
    assert!(RESPONSES.declined(&json));
}

#[test]
fn a_refusal_in_place_of_an_answer_keeps_what_is_known_of_it() {
    let mut instead = rich_answer();
    instead["status"] = "failed".into();
    instead["error"] = json!({"code": "x", "message": "secret"});
    let asked = asked();
    let refusal =
        Refusal { text: "No.", id: "7", created: 1, asked: &asked, instead: Some(&instead), hazard: None };
    let json = RESPONSES.refusal(&refusal);
    assert_eq!((&json["id"], &json["usage"]["total_tokens"]), (&json!("no"), &json!(3)));
    assert_eq!(json["status"], "completed");
    let text = json.to_string();
    assert!(!["secret", "h0", "s0", "\"c0\""].iter().any(|withheld| text.contains(withheld)), "{text}");
}

#[test]
fn a_moderation_block_has_one_result_for_each_side() {
    let block = json!({"input": {"type": "moderation_results", "results": [{"type": "moderation_result", "flagged": true}]}});
    let mut answer = answer(&rich_answer());
    answer.attach("moderation", block);
    assert_eq!(answer.json()["moderation"]["input"], json!({"type": "moderation_result", "flagged": true}));
}
