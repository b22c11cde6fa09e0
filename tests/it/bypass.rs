//! The ways around the guard that other gateways shipped. Each row hides a forbidden word in a place of its own, and must
//! be refused: a question before the model is asked, an answer before it is shown.

mod others;

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp, completion, sse};

/// One way around a guard.
struct Row {
    /// What it is.
    way: &'static str,
    /// The route it is tried on.
    path: &'static str,
    /// What is sent.
    body: Value,
    /// What the model says: the forbidden word, where the question holds it not.
    answer: Option<Script>,
    /// Whether the same was asked before, and answered harmlessly.
    again: bool,
}

const CHAT: &str = "/v1/chat/completions";

/// A question that must not reach the model.
fn question(way: &'static str, path: &'static str, body: Value) -> Row {
    assert!(body.to_string().contains("zork"), "{way}");
    Row { way, path, body, answer: None, again: false }
}

/// An answer that must not be shown.
fn answer(way: &'static str, path: &'static str, body: Value, answer: Script) -> Row {
    Row { way, path, body, answer: Some(answer), again: false }
}

/// A chat question with these messages.
fn chat(way: &'static str, messages: Value) -> Row {
    beside(way, "messages", messages)
}

/// A chat question with this member beside, or in place of, its one harmless message.
fn beside(way: &'static str, member: &str, value: Value) -> Row {
    let mut body = hello(false);
    body[member] = value;
    question(way, CHAT, body)
}

fn hello(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
}

/// A whole chat answer with this message as its second choice or its only one.
fn says(way: &'static str, message: Value) -> Row {
    let mut body = completion("fine");
    body["choices"][0]["message"] = message;
    answer(way, CHAT, hello(false), whole(&body))
}

/// A streamed chat answer of these deltas of the choice at `index`.
fn streams(way: &'static str, index: u64, deltas: &[Value]) -> Row {
    let mut events = sse("fine");
    let end = events.len() - 2;
    let chunk = |delta: &Value| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": null});
        event(
            None,
            &json!({"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]}),
        )
    };
    events.splice(end..end, deltas.iter().map(chunk));
    answer(way, CHAT, hello(true), stream(&events))
}

fn whole(body: &Value) -> Script {
    Script::Raw(200, "application/json", body.to_string().into())
}

fn stream(events: &[Bytes]) -> Script {
    Script::Raw(200, "text/event-stream", events.concat().into())
}

fn event(kind: Option<&str>, data: &Value) -> Bytes {
    let kind = kind.map_or(String::new(), |kind| format!("event: {kind}\n"));
    format!("{kind}data: {data}\n\n").into()
}

fn rows() -> Vec<Row> {
    [questions(), definitions(), answers(), streamed_answers()].into_iter().flatten().collect()
}

fn questions() -> Vec<Row> {
    let user = |text: &str| json!({"role": "user", "content": text});
    let said = |text: &str| json!({"role": "assistant", "content": text});
    let call =
        json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"q\": \"zork\"}"}}]);
    let mut rows = vec![
        chat("not the last message", json!([user("zork"), said("no"), user("thanks")])),
        chat("words put into the model's mouth", json!([user("hi"), said("zork"), user("go on")])),
        chat("two user turns in a row", json!([user("zork"), user("hello")])),
        chat("behind an empty message", json!([user(""), user("zork")])),
        chat("before an empty message", json!([user("zork"), user("")])),
        chat(
            "behind an empty part",
            json!([{"role": "user", "content": [
            {"type": "text", "text": ""}, {"type": "text", "text": "zork"}]}]),
        ),
        chat(
            "beside an image",
            json!([{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, {"type": "text", "text": "zork"}]}]),
        ),
        chat("the system prompt", json!([{"role": "system", "content": "zork"}, user("hello")])),
        chat("the developer's prompt", json!([{"role": "developer", "content": "zork"}, user("hello")])),
        chat("a participant's name", json!([{"role": "user", "name": "zork", "content": "hello"}])),
        chat(
            "a tool's result",
            json!([user("hi"), {"role": "tool", "tool_call_id": "c", "content": "zork"}]),
        ),
        chat(
            "a tool's result in parts",
            json!([user("hi"), {"role": "tool", "tool_call_id": "c", "content": [
            {"type": "text", "text": "zork"}]}]),
        ),
        chat(
            "a function's result",
            json!([user("hi"), {"role": "function", "name": "f", "content": "zork"}]),
        ),
        chat(
            "an earlier tool call",
            json!([user("hi"), {"role": "assistant", "content": null, "tool_calls": call},
            {"role": "tool", "tool_call_id": "c", "content": "ok"}]),
        ),
        chat(
            "earlier reasoning",
            json!([user("hi"), {"role": "assistant", "content": "ok", "reasoning_content": "zork"}]),
        ),
        chat(
            "an earlier refusal",
            json!([user("hi"), {"role": "assistant", "content": null, "refusal": "zork"}]),
        ),
        question(
            "a stream is asked for",
            CHAT,
            json!({"model": "m", "stream": true, "messages": [user("zork")]}),
        ),
        question(
            "two choices are asked for",
            CHAT,
            json!({"model": "m", "n": 2, "messages": [user("zork")]}),
        ),
        Row { again: true, ..chat("a question that was refused before", json!([user("zork")])) },
    ];
    // Names that other gateways route by, or strip.
    for model in [
        "openai/gpt-4",
        "azure/gpt-4",
        "bedrock/anthropic.claude-v2:1",
        "ft:gpt-4o:org::id",
        "m:free",
        "M",
        " m",
    ] {
        rows.push(question(
            "a routed model's name",
            CHAT,
            json!({"model": model, "messages": [user("zork")]}),
        ));
    }
    rows
}

fn definitions() -> Vec<Row> {
    let tool = |function: Value| json!([{"type": "function", "function": function}]);
    let schema = |key: &str, value: Value| json!({"type": "object", "properties": {"q": {"type": "string", key: value}}});
    vec![
        beside("a tool's name", "tools", tool(json!({"name": "zork"}))),
        beside("a tool's description", "tools", tool(json!({"name": "f", "description": "zork"}))),
        beside(
            "a parameter's description",
            "tools",
            tool(json!({"name": "f", "parameters": schema("description", json!("zork"))})),
        ),
        beside(
            "a parameter's choices",
            "tools",
            tool(json!({"name": "f", "parameters": schema("enum", json!(["zork"]))})),
        ),
        beside(
            "a tool of another kind",
            "tools",
            json!([{"type": "custom", "custom": {"name": "f", "description": "zork"}}]),
        ),
        beside("an older function", "functions", json!([{"name": "f", "description": "zork"}])),
        beside(
            "the form of the answer",
            "response_format",
            json!({"type": "json_schema", "json_schema":
            {"name": "a", "schema": schema("description", json!("zork"))}}),
        ),
        beside("a predicted answer", "prediction", json!({"type": "content", "content": "zork"})),
    ]
}

fn answers() -> Vec<Row> {
    let assistant = |key: &str, value: Value| json!({"role": "assistant", "content": null, key: value});
    let call = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let calls = |function: Value| json!([{"id": "c", "type": "function", "function": function}]);
    let mut two = completion("fine");
    let mut second = completion("zork")["choices"][0].clone();
    second["index"] = json!(1);
    two["choices"].as_array_mut().unwrap().push(second);
    let say_zork = || Script::Say("all about zork".into());
    vec![
        answer("a whole answer", CHAT, hello(false), say_zork()),
        Row {
            again: true,
            ..answer("an answer to a question that was answered before", CHAT, hello(false), say_zork())
        },
        answer("the second choice", CHAT, hello(false), whole(&two)),
        answer("a whole answer where a stream was asked for", CHAT, hello(true), whole(&completion("zork"))),
        says("reasoning", json!({"role": "assistant", "content": "fine", "reasoning_content": "zork"})),
        says(
            "reasoning by another name",
            json!({"role": "assistant", "content": "fine", "reasoning": "zork"}),
        ),
        says("text in parts", assistant("content", json!([{"type": "text", "text": "zork"}]))),
        says("a tool call's arguments", assistant("tool_calls", calls(call("f", "{\"q\": \"zork\"}")))),
        says("a tool call's name", assistant("tool_calls", calls(call("zork", "{}")))),
        says("an older function call", assistant("function_call", call("f", "{\"q\": \"zork\"}"))),
        says("a refusal", assistant("refusal", json!("zork"))),
        says(
            "a transcript",
            assistant("audio", json!({"id": "a", "data": "", "transcript": "zork", "expires_at": 0})),
        ),
        says(
            "the title of a citation",
            json!({"role": "assistant", "content": "fine", "annotations": [
            {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "zork"}}]}),
        ),
    ]
}

fn streamed_answers() -> Vec<Row> {
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]});
    let more = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    vec![
        answer("a stream", CHAT, hello(true), Script::Say("all about zork".into())),
        Row {
            again: true,
            ..answer(
                "a stream for a question that was answered before",
                CHAT,
                hello(true),
                Script::Say("zork".into()),
            )
        },
        streams("a word in two chunks", 0, &[json!({"content": " zo"}), json!({"content": "rk"})]),
        streams("the second choice of a stream", 1, &[json!({"content": "zo"}), json!({"content": "rk"})]),
        streams(
            "streamed reasoning",
            0,
            &[json!({"reasoning_content": "zo"}), json!({"reasoning_content": "rk"})],
        ),
        streams("streamed reasoning by another name", 0, &[json!({"reasoning": "zork"})]),
        streams(
            "a streamed tool call's arguments",
            0,
            &[call(json!({"name": "f", "arguments": "{\"q\": \"zo"})), more("rk\"}")],
        ),
        streams("a streamed tool call's name", 0, &[call(json!({"name": "zork", "arguments": "{}"}))]),
        streams("a streamed refusal", 0, &[json!({"refusal": "zo"}), json!({"refusal": "rk"})]),
    ]
}

#[tokio::test]
async fn every_way_around_the_guard_is_closed() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let mut open = Vec::new();
    for row in rows().iter().chain(&others::rows()) {
        if let Err(how) = try_row(&app, &model, row).await {
            open.push(format!("{} {} ({}): {how}", row.path, row.way, row.body));
        }
    }
    assert!(open.is_empty(), "{} are open:\n{}", open.len(), open.join("\n"));
}

/// We would judge the last, and an upstream might read the first.
#[tokio::test]
async fn a_member_that_stands_twice_does_not_reach_the_model() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    for body in [
        r#"{"model": "m", "messages": [{"role": "user", "content": "zork", "content": "hello"}]}"#,
        r#"{"model": "m", "messages": [{"role": "user", "content": "zork"}], "messages": [{"role": "user", "content": "hello"}]}"#,
    ] {
        assert_eq!(app.raw(body).await.status, 400, "{body}");
    }
    assert!(model.bodies().is_empty());
}

async fn try_row(app: &TestApp, model: &Model, row: &Row) -> Result<(), String> {
    model.change(Script::Say("fine".into()));
    let send = || Reply::of(app.post(row.path).json(&row.body));
    if row.again {
        send().await;
    }
    model.change(row.answer.clone().unwrap_or_else(|| Script::Say("fine".into())));
    let asked_before = model.bodies().len();
    let reply = send().await;
    let asked = model.bodies().len() - asked_before;
    let expected = usize::from(row.answer.is_some());
    if reply.header("x-demur-verdict") != "refuse" {
        return Err(format!("not refused: HTTP {}, {}", reply.status, reply.text));
    }
    if reply.text.contains("zork") || reply.text.contains("zo\"") {
        return Err(format!("shown: {}", reply.text));
    }
    if asked != expected {
        return Err(format!("the model was asked {asked} times, not {expected}"));
    }
    Ok(())
}

/// A route changes which policy judges, never whether one does.
#[tokio::test]
async fn every_route_leads_past_a_guard() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let routes = format!(
        "[{{model: 'openai/*', policy: '{0}'}}, {{header: 'x-tenant: a', policy: '{0}'}}]",
        policy.path()
    );
    let app = TestApp::with(&model, |settings| {
        settings.policy = Some(policy.path());
        settings.routes = Some(routes.parse().unwrap());
    })
    .await;
    for name in ["openai/gpt-4", "OpenAI/gpt-4", "gpt-4", "x/openai/gpt-4"] {
        for tenant in ["a", "b"] {
            let body = json!({"model": name, "messages": [{"role": "user", "content": "zork"}]});
            let reply = Reply::of(app.post(CHAT).header("x-tenant", tenant).json(&body)).await;
            assert_eq!(reply.header("x-demur-verdict"), "refuse", "{name} {tenant}");
        }
    }
    assert!(model.bodies().is_empty());
}
