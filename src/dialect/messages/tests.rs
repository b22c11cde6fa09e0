//! Requests and answers in Anthropic's format, whole.

mod stream;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{Answer, Asked, Dialect, Refusal, Request, stream::testing::follow},
    COUNT_TOKENS, MESSAGES,
};
use crate::message::{Place, Role};

fn request(json: &Value) -> Request {
    Request::parse(&MESSAGES, Bytes::from(json.to_string())).unwrap()
}

fn answer(json: &Value) -> Answer {
    Answer::read(&MESSAGES, Bytes::from(json.to_string())).unwrap()
}

fn asked() -> Asked {
    Asked { model: "m".into(), stream: true, include_usage: true, n: 1, wants_moderation: false }
}

/// A request with a text in every kind of place.
fn rich() -> Value {
    json!({
        "model": "m", "max_tokens": 9, "stop_sequences": ["stop0"],
        "metadata": {"user_id": "u-0"},
        "system": [{"type": "text", "text": "sys", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "plain"},
            {"role": "user", "content": [
                {"type": "text", "text": "words"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}},
                {"type": "document", "title": "title", "context": "context",
                 "source": {"type": "text", "media_type": "text/plain", "data": "document"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "part"}]}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
                {"type": "search_result", "source": "origin", "title": "found",
                 "content": [{"type": "text", "text": "result"}]},
                {"type": "hologram", "id": "h", "caption": {"lines": ["unknown"]}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "thought", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ"},
                {"type": "tool_use", "id": "t", "name": "tool", "input": {"key": ["value"]}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "outcome"}]},
                {"type": "tool_result", "tool_use_id": "t", "content": "bare outcome"},
            ]},
            {"role": "system", "content": "later"},
        ],
        "tools": [{"name": "tool", "description": "does", "input_schema": {"properties": {"id": {"description": "deep"}}}}],
        "mcp_servers": [{"type": "url", "url": "https://mcp.example.com", "name": "server", "authorization_token": "secret"}],
    })
}

#[test]
fn every_text_that_the_model_reads_is_a_segment() {
    let segments = request(&rich()).segments();
    let seen: Vec<(&str, Role, Place)> = segments.iter().map(|s| (&*s.text, s.role, s.place)).collect();
    let expected = [
        ("sys", Role::System, Place::Content),
        ("plain", Role::User, Place::Content),
        ("words", Role::User, Place::Content),
        ("title", Role::User, Place::Document),
        ("context", Role::User, Place::Document),
        ("document", Role::User, Place::Document),
        ("part", Role::User, Place::Document),
        ("origin", Role::User, Place::Document),
        ("found", Role::User, Place::Document),
        ("result", Role::User, Place::Document),
        ("unknown", Role::User, Place::Content),
        ("thought", Role::Assistant, Place::Reasoning),
        ("tool", Role::Assistant, Place::ToolCall),
        (r#"{"key":["value"]}"#, Role::Assistant, Place::ToolCall),
        ("outcome", Role::Tool, Place::ToolResult),
        ("bare outcome", Role::Tool, Place::ToolResult),
        ("later", Role::System, Place::Content),
        ("tool", Role::Developer, Place::ToolDefinition),
        ("does", Role::Developer, Place::ToolDefinition),
        ("deep", Role::Developer, Place::ToolDefinition),
        ("id", Role::Developer, Place::ToolDefinition),
        ("stop0", Role::Developer, Place::Other),
        ("server", Role::Developer, Place::Other),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_unchanged_body_keeps_its_bytes() {
    let body = "{ \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo\"}], \"model\":\"m\",\"max_tokens\":1.0 }";
    let request = Request::parse(&MESSAGES, Bytes::from_static(body.as_bytes())).unwrap();
    assert_eq!(request.to_bytes(), body.as_bytes());
}

#[test]
fn every_segment_can_be_written_back() {
    let mut request = request(&rich());
    let is_json = |text: &str| text.starts_with('{');
    let changed = |text: &str| match is_json(text) {
        true => text.replace("value", "<value>"),
        false => format!("<{text}>"),
    };
    // The names in a schema have no place of their own.
    let texts = |request: &Request| {
        let mut segments = request.segments();
        segments.retain(|segment| !segment.pointer.ends_with("/-"));
        segments
    };
    let before = texts(&request);
    for segment in &before {
        request.replace(&segment.pointer, changed(&segment.text));
    }
    let after: Vec<String> = texts(&request).iter().map(|s| s.text.to_string()).collect();
    let expected: Vec<String> = before.iter().map(|s| changed(&s.text)).collect();
    assert_eq!(after, expected);
    let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
    assert_eq!(json["messages"][2]["content"][2]["input"], json!({"key": ["<value>"]}));
    assert_eq!(json["tools"][0]["input_schema"]["properties"]["id"]["description"], "<deep>");
}

#[test]
fn an_input_that_is_no_json_any_more_stays_an_object() {
    let mut request = request(&json!({"model": "m", "messages": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"card": 4}}]}]}));
    request.replace("/messages/0/content/0/input", r#"{"card":[CREDIT_CARD]}"#.to_owned());
    let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
    assert_eq!(json["messages"][0]["content"][0]["input"], json!({"text": r#"{"card":[CREDIT_CARD]}"#}));
}

#[test]
fn guidance_stands_behind_the_system_prompt() {
    let messages = json!([{"role": "user", "content": "c"}]);
    for (system, expected) in [
        (Value::Null, json!("g")),
        (json!(""), json!("g")),
        (json!("a"), json!("a\n\ng")),
        (
            json!([{"type": "text", "text": "a"}]),
            json!([{"type": "text", "text": "a"}, {"type": "text", "text": "g"}]),
        ),
    ] {
        let mut request = request(&json!({"model": "m", "system": system, "messages": messages}));
        request.add_guidance("g");
        let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
        assert_eq!(json["system"], expected);
    }
    let mut bare = request(&json!({"model": "m", "messages": messages}));
    bare.add_guidance("g");
    let json: Value = serde_json::from_slice(&bare.to_bytes()).unwrap();
    assert_eq!(json["system"], "g");
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&str, Option<&str>, &str); 10] = [
        ("{}", Some("model"), "model"),
        (r#"{"model":"m"}"#, Some("messages"), "missing"),
        (r#"{"model":"m","messages":{}}"#, Some("messages"), "an object"),
        (r#"{"model":"m","messages":[]}"#, Some("messages"), "empty"),
        (r#"{"model":"m","messages":["x"]}"#, Some("messages[0]"), "a string"),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#,
            Some("messages[0].role"),
            "unknown role",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
            Some("messages[0].content"),
            "a number",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
            Some("messages[0].content[0]"),
            "no `type`",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":5}]}]}"#,
            Some("messages[0].content[0].text"),
            "a number",
        ),
        (
            r#"{"model":"m","system":5,"messages":[{"role":"user","content":"x"}]}"#,
            Some("system"),
            "a number",
        ),
    ];
    for (body, param, message) in cases {
        let error = Request::parse(&MESSAGES, Bytes::from(body)).unwrap_err();
        assert_eq!(error.param.as_deref(), param, "{body}");
        assert!(error.message.contains(message), "{body}: {}", error.message);
    }
}

/// An answer with a text in every kind of place.
fn rich_answer() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "thought", "signature": "c2ln"},
            {"type": "text", "text": "words", "citations": [
                {"type": "web_search_result_location", "cited_text": "cited", "title": "title",
                 "url": "https://example.com", "encrypted_index": "eA"}]},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "query"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [
                {"type": "web_search_result", "title": "page", "url": "https://example.org", "encrypted_content": "eA"}]},
            {"type": "text", "text": "more"},
            {"type": "tool_use", "id": "t", "name": "tool", "input": {"key": 1}},
            {"type": "hologram", "caption": "unknown"},
        ],
        "stop_reason": "tool_use", "stop_sequence": "stop0", "usage": {"input_tokens": 3, "output_tokens": 4},
        "vendor": {"note": "beside"},
    })
}

#[test]
fn every_text_that_the_client_sees_is_a_segment() {
    let segments = answer(&rich_answer()).segments();
    let seen: Vec<(&str, Place)> = segments.iter().map(|s| (&*s.text, s.place)).collect();
    let expected = [
        ("thought", Place::Reasoning),
        ("words", Place::Content),
        ("cited", Place::Other),
        ("title", Place::Other),
        ("https://example.com", Place::Other),
        ("web_search", Place::ToolCall),
        (r#"{"query":"query"}"#, Place::ToolCall),
        ("page", Place::ToolResult),
        ("https://example.org", Place::ToolResult),
        ("more", Place::Content),
        ("tool", Place::ToolCall),
        (r#"{"key":1}"#, Place::ToolCall),
        ("unknown", Place::Content),
        ("stop0", Place::Other),
        ("beside", Place::Other),
    ];
    assert_eq!(seen, expected);
    assert!(segments.iter().all(|segment| segment.role == Role::Assistant));
}

#[test]
fn a_models_own_refusal_is_known_and_its_words_are_judged() {
    let mut said = answer(&json!({"content": [], "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber", "explanation": "because"}}));
    assert!(said.declined());
    let texts: Vec<(String, Place)> = said.segments().iter().map(|s| (s.text.to_string(), s.place)).collect();
    assert_eq!(texts, [("because".to_owned(), Place::Refusal)]);
    said.replace("/stop_details/explanation", "[X]".to_owned());
    assert!(!said.json().to_string().contains("because"));
}

#[test]
fn notices_stand_behind_the_last_words() {
    let mut said = answer(&rich_answer());
    said.map_visible(|text| format!("{text}!"));
    assert_eq!(said.json()["content"][1]["text"], "words");
    assert_eq!(said.json()["content"][4]["text"], "more!");
}

#[test]
fn thinking_of_which_something_was_taken_out_loses_its_signature() {
    let mut said = answer(&rich_answer());
    said.replace("/content/0/thinking", "put back".to_owned());
    assert_eq!(said.json()["content"][0]["signature"], "c2ln");
    said.take_out("/content/0/thinking", "[X]".to_owned());
    assert_eq!(said.json()["content"][0], json!({"type": "thinking", "thinking": "[X]", "signature": ""}));
}

#[test]
fn a_whole_answer_as_a_stream_says_the_same() {
    let sorted = |texts: Vec<(String, String)>| {
        let mut texts: Vec<_> = texts.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        texts.sort();
        texts
    };
    let said = answer(&rich_answer());
    let whole = said.segments().iter().map(|s| (s.pointer.clone(), s.text.to_string())).collect();
    let events = said.into_events(&asked());
    let streamed = follow(&mut *MESSAGES.reader(&asked()), &events).unwrap();
    assert_eq!(sorted(streamed), sorted(whole));
}

#[test]
fn a_refusal_is_a_message_with_its_details() {
    let asked = asked();
    let refusal =
        Refusal { text: "No.", id: "id", created: 1, asked: &asked, instead: None, hazard: Some("cyber") };
    let json = MESSAGES.refusal(&refusal);
    assert_eq!(json["content"], json!([{"type": "text", "text": "No."}]));
    assert_eq!(json["stop_reason"], "refusal");
    assert_eq!(json["stop_details"], json!({"type": "refusal", "category": "cyber", "explanation": "No."}));
    assert_eq!(json["id"], "msg_id");
    let instead = rich_answer();
    let json = MESSAGES.refusal(&Refusal { instead: Some(&instead), hazard: Some("hate"), ..refusal });
    assert_eq!((&json["id"], &json["usage"]["output_tokens"]), (&json!("msg_1"), &json!(4)));
    assert_eq!(json["stop_details"]["category"], "general_harms");
    let json = MESSAGES.refusal(&Refusal { hazard: None, ..refusal });
    assert_eq!(json["stop_details"]["category"], Value::Null);
}

#[test]
fn a_count_that_is_refused_is_an_error() {
    let asked = asked();
    let refusal = Refusal { text: "No.", id: "id", created: 1, asked: &asked, instead: None, hazard: None };
    let expected = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "No."}, "request_id": "id"});
    assert_eq!(COUNT_TOKENS.refusal(&refusal), expected);
    assert!(!COUNT_TOKENS.answers());
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    assert!(!COUNT_TOKENS.read(&body).unwrap().stream);
}

#[test]
fn an_answer_that_is_none_is_told() {
    let read = |body: &'static str| Answer::read(&MESSAGES, Bytes::from_static(body.as_bytes())).unwrap_err();
    assert!(read("{}").contains("without `content`"));
    assert!(read("oops").contains("not JSON"));
}
