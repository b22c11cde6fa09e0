//! Requests and answers as bytes, as clients and upstreams send them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{Answer, Asked, Dialect, Refusal, Request, stream::testing::follow},
    CHAT,
};
use crate::message::{Place, Role};

fn request(json: &Value) -> Request {
    Request::parse(&CHAT, Bytes::from(json.to_string())).unwrap()
}

fn error(body: impl Into<Bytes>) -> (Option<String>, String) {
    let error = Request::parse(&CHAT, body.into()).unwrap_err();
    (error.param, error.message)
}

#[test]
fn an_unchanged_body_keeps_its_bytes() {
    let body = r#"{ "model":"m", "messages":[{"role":"user","content":"h\u00e9llo"}], "x_unknown": 1e400 }"#;
    let body = body.replace("1e400", "12345678901234567890.5");
    let request = Request::parse(&CHAT, Bytes::from(body.clone())).unwrap();
    assert_eq!(request.to_bytes(), body.as_bytes());
}

#[test]
fn a_changed_body_keeps_its_unknown_fields_in_order() {
    let mut request = request(
        &json!({"zeta": 1, "model": "m", "messages": [{"role": "user", "content": "old", "x": [2]}], "alpha": {"b": null}}),
    );
    request.replace("/messages/0/content", "new".to_owned());
    let expected =
        r#"{"zeta":1,"model":"m","messages":[{"role":"user","content":"new","x":[2]}],"alpha":{"b":null}}"#;
    assert_eq!(request.to_bytes(), expected.as_bytes());
}

#[test]
fn every_text_that_the_model_reads_is_a_segment() {
    let request = request(&json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "s0"},
            {"role": "user", "name": "n1", "content": [{"type": "text", "text": "p1"}, {"type": "image_url", "image_url": {"url": "u"}}]},
            {"role": "assistant", "content": null, "refusal": "r2",
             "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f2", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "t3"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"properties": {"q/x": {"description": "deep"}}}}}],
    }));
    let segments = request.segments();
    let seen: Vec<(&str, Role, Place)> = segments.iter().map(|s| (&*s.text, s.role, s.place)).collect();
    for expected in [
        ("s0", Role::System, Place::Content),
        ("n1", Role::User, Place::Name),
        ("p1", Role::User, Place::Content),
        ("r2", Role::Assistant, Place::Refusal),
        ("f2", Role::Assistant, Place::ToolCall),
        ("{\"a\":1}", Role::Assistant, Place::ToolCall),
        ("t3", Role::Tool, Place::ToolResult),
        ("d", Role::Developer, Place::ToolDefinition),
        ("deep", Role::Developer, Place::ToolDefinition),
    ] {
        assert!(seen.contains(&expected), "{expected:?} in {seen:?}");
    }
}

#[test]
fn every_segment_can_be_written_back() {
    let mut request = request(&json!({
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "p"}], "name": "n"}],
        "tools": [{"function": {"a/b~c": "d"}}],
    }));
    for segment in request.segments() {
        request.replace(&segment.pointer, format!("<{}>", segment.text));
    }
    let texts: Vec<String> = request.segments().iter().map(|s| s.text.to_string()).collect();
    assert_eq!(texts, ["<p>", "<n>", "<d>"]);
}

#[test]
fn guidance_stands_behind_the_operators_own() {
    let mut request = request(&json!({"model": "m", "messages": [
        {"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, {"role": "user", "content": "c"}]}));
    request.add_guidance("g");
    let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
    assert_eq!(json["messages"][2], json!({"role": "system", "content": "g"}));
}

#[test]
fn a_moderation_block_is_ours_to_answer() {
    let request = request(
        &json!({"model": "m", "moderation": {"model": "omni"}, "messages": [{"role": "user", "content": "c"}]}),
    );
    assert!(request.asked().wants_moderation);
    assert!(!String::from_utf8_lossy(&request.to_bytes()).contains("moderation"));
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&str, Option<&str>, &str); 12] = [
        ("", None, "empty"),
        ("{\"a\":", None, "line 1 column"),
        ("[]", None, "an array"),
        ("{}", Some("model"), "model"),
        (r#"{"model":3}"#, Some("model"), "a number"),
        (r#"{"model":"m"}"#, Some("messages"), "missing"),
        (r#"{"model":"m","messages":"hi"}"#, Some("messages"), "a string"),
        (r#"{"model":"m","messages":[]}"#, Some("messages"), "empty"),
        (
            r#"{"model":"m","messages":[{"role":"boss","content":"x"}]}"#,
            Some("messages[0].role"),
            "unknown role",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
            Some("messages[0].content"),
            "a number",
        ),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":0}"#, Some("n"), "from 1 to"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":"yes"}"#,
            Some("stream"),
            "a boolean",
        ),
    ];
    for (body, param, message) in cases {
        let (found_param, found) = error(body);
        assert_eq!(found_param.as_deref(), param, "{body}");
        assert!(found.contains(message), "{body}: {found}");
    }
}

#[test]
fn bad_bytes_and_deep_nesting_are_refused() {
    assert!(error(&b"{\"model\":\"\xff\"}"[..]).1.contains("offset 10"));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(error(deep).1.contains("recursion limit"));
}

fn events(chunks: &[Value]) -> Vec<Bytes> {
    let mut events: Vec<Bytes> =
        chunks.iter().map(|chunk| Bytes::from(format!("data: {chunk}\n\n"))).collect();
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m",
           "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn stream() -> Vec<Bytes> {
    events(&[
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"content": "Hel"}), None),
        chunk(&json!({"content": "lo"}), None),
        chunk(
            &json!({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"a"}}]}),
            None,
        ),
        chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "\":1}"}}]}), None),
        chunk(&json!({}), Some("tool_calls")),
        json!({"id": "c1", "choices": [], "usage": {"total_tokens": 9}}),
    ])
}

fn asked() -> Asked {
    Asked { model: "m".into(), stream: true, include_usage: true, n: 1, wants_moderation: false }
}

#[test]
fn a_streams_texts_are_followed() {
    let texts = follow(&mut *CHAT.reader(&asked()), &stream()).unwrap();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(at, text)| (&**at, &**text)).collect();
    let expected = [
        ("/choices/0/message/content", "Hello"),
        ("/choices/0/message/tool_calls/0/function/name", "f"),
        ("/choices/0/message/tool_calls/0/function/arguments", "{\"a\":1}"),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_whole_answer_as_a_stream_says_the_same() {
    let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"total_tokens": 9}, "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "a", "reasoning_content": "b"}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{}"}}]},
         "finish_reason": "tool_calls"}]});
    let answer = Answer::read(&CHAT, Bytes::from(body.to_string())).unwrap();
    let whole: Vec<(String, String)> =
        answer.segments().iter().map(|s| (s.pointer.clone(), s.text.to_string())).collect();
    let streamed = follow(&mut *CHAT.reader(&asked()), &answer.into_events(&asked())).unwrap();
    assert_eq!(streamed, whole);
}

#[test]
fn what_an_upstream_adds_of_its_own_is_a_text_too() {
    let body = json!({"choices": [{"message": {"content": "a", "thinking": "b"}}], "citations": ["c"]});
    let answer = Answer::read(&CHAT, Bytes::from(body.to_string())).unwrap();
    let texts: Vec<String> = answer.segments().iter().map(|s| s.text.to_string()).collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[test]
fn content_of_any_form_is_a_text() {
    let message = |content: Value| {
        let body = json!({"choices": [{"message": {"content": content}}]}).to_string();
        let answer = Answer::read(&CHAT, Bytes::from(body)).unwrap();
        answer.segments().iter().map(|s| format!("{}={}", &s.pointer[26..], s.text)).collect::<Vec<_>>()
    };
    assert_eq!(message(json!(["a", {"type": "text", "text": "b"}])), ["/0=a", "/1/text=b"]);
    assert_eq!(message(json!([{"type": "thinking", "thinking": [{"text": "c"}]}])), ["/0/thinking/0/text=c"]);
    assert_eq!(message(json!([{"type": "text", "text": {"value": "d"}}])), ["/0/text/value=d"]);
    assert_eq!(message(json!({"parts": ["e"]})), ["/parts/0=e"]);
}

#[test]
fn log_probabilities_that_spell_another_text_are_one() {
    let choice = |token: &str| {
        json!({"index": 0, "message": {"content": "ab"}, "logprobs": {"content": [
            {"token": "a", "top_logprobs": [{"token": "a"}, {"token": "x"}]}, {"token": token}]}})
    };
    for (token, expected) in [("b", vec!["ab", "x"]), ("c", vec!["ab", "ac x"])] {
        let body = json!({"choices": [choice(token)]}).to_string();
        let answer = Answer::read(&CHAT, Bytes::from(body)).unwrap();
        let texts: Vec<String> = answer.segments().iter().map(|s| s.text.to_string()).collect();
        assert_eq!(texts, expected);
    }
}

#[test]
fn a_stream_that_is_none_is_told() {
    let error = |events: &[Bytes]| follow(&mut *CHAT.reader(&asked()), events).unwrap_err();
    assert!(error(&stream()[..3]).contains("broke off"));
    assert!(error(&[Bytes::from_static(b"<html>oops</html>")]).contains("without a chunk"));
    assert!(error(&[Bytes::from_static(b"data: {oops\n\n")]).contains("not JSON"));
    let jump = events(&[json!({"choices": [{"index": 4_000_000_000_u64, "delta": {}}]})]);
    assert!(error(&jump).contains("index"));
}

#[test]
fn a_refusal_is_a_message_in_every_choice() {
    let asked = Asked { n: 2, ..asked() };
    let refusal = Refusal { text: "No.", id: "id", created: 1, asked: &asked, instead: None, hazard: None };
    let json = CHAT.refusal(&refusal);
    for choice in json["choices"].as_array().unwrap() {
        assert_eq!(choice["message"]["content"], "No.");
        assert_eq!(choice["message"]["refusal"], "No.");
        assert_eq!(choice["finish_reason"], "content_filter");
    }
    assert_eq!(json["choices"].as_array().unwrap().len(), 2);
}

#[test]
fn a_changed_text_takes_its_log_probabilities_along() {
    let body = json!({"choices": [{"index": 0, "message": {"content": "secret"}, "logprobs": {"content": [{"token": "secret"}]}}]});
    let mut answer = Answer::read(&CHAT, Bytes::from(body.to_string())).unwrap();
    answer.replace("/choices/0/message/content", "[X]".to_owned());
    assert!(!String::from_utf8_lossy(&answer.into_whole()).contains("secret"));
}
