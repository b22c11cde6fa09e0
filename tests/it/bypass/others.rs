//! The same ways around the guard on the routes of other dialects.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{Row, answer, event, question, stream, whole};
use crate::support::Script;

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [anthropic_questions(), anthropic_answers(), responses_rows(), older_rows()]
        .into_iter()
        .flatten()
        .collect()
}

const MESSAGES: &str = "/v1/messages";

fn claude(member: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    body[member] = value;
    body
}

fn anthropic_questions() -> Vec<Row> {
    let user =
        |content: Value| json!([{"role": "user", "content": content}, {"role": "user", "content": "hello"}]);
    let bodies = [
        ("a message that is not the last", claude("messages", user(json!("zork")))),
        (
            "a block",
            claude("messages", user(json!([{"type": "text", "text": ""}, {"type": "text", "text": "zork"}]))),
        ),
        (
            "a document",
            claude(
                "messages",
                user(json!([{"type": "document", "source":
            {"type": "text", "media_type": "text/plain", "data": "zork"}}])),
            ),
        ),
        (
            "a tool's result",
            claude("messages", user(json!([{"type": "tool_result", "tool_use_id": "t", "content": "zork"}]))),
        ),
        (
            "a tool's result in blocks",
            claude(
                "messages",
                user(json!([{"type": "tool_result", "tool_use_id": "t", "content":
            [{"type": "text", "text": "zork"}]}])),
            ),
        ),
        (
            "earlier thinking",
            claude(
                "messages",
                json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content":
            [{"type": "thinking", "thinking": "zork", "signature": "s"}]}, {"role": "user", "content": "go on"}]),
            ),
        ),
        (
            "an earlier tool call",
            claude(
                "messages",
                json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content":
            [{"type": "tool_use", "id": "t", "name": "f", "input": {"q": ["zork"]}}]}]),
            ),
        ),
        ("the system prompt", claude("system", json!("zork"))),
        ("a block of the system prompt", claude("system", json!([{"type": "text", "text": "zork"}]))),
        (
            "a tool's description",
            claude("tools", json!([{"name": "f", "description": "zork", "input_schema": {}}])),
        ),
        (
            "a parameter's description",
            claude(
                "tools",
                json!([{"name": "f", "input_schema":
            {"type": "object", "properties": {"q": {"description": "zork"}}}}]),
            ),
        ),
    ];
    let mut rows = Vec::new();
    for (way, body) in bodies {
        let mut counted = body.clone();
        counted.as_object_mut().unwrap().remove("max_tokens");
        let mut streamed = body.clone();
        streamed["stream"] = json!(true);
        rows.push(question(way, MESSAGES, body));
        rows.push(question(way, MESSAGES, streamed));
        rows.push(question(way, "/v1/messages/count_tokens", counted));
    }
    rows
}

fn anthropic_answers() -> Vec<Row> {
    let ask = |stream: bool| claude("stream", json!(stream));
    let message = |content: Value| {
        json!({"id": "msg", "type": "message", "role": "assistant", "model": "m",
        "content": content, "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1}})
    };
    let says = |way, block: Value| {
        let first = json!({"type": "text", "text": "fine"});
        answer(way, MESSAGES, ask(false), whole(&message(json!([first, block]))))
    };
    let streams = |way, block: Value, deltas: &[Value]| {
        let mut events = vec![
            json!({"type": "message_start", "message": message(json!([]))}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
        ];
        events.extend(
            deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": 0}));
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}));
        events.push(json!({"type": "message_stop"}));
        answer(way, MESSAGES, ask(true), typed(&events))
    };
    let tool = |input: Value| json!({"type": "tool_use", "id": "t", "name": "f", "input": input});
    vec![
        says("the second block", json!({"type": "text", "text": "zork"})),
        says("thinking", json!({"type": "thinking", "thinking": "zork", "signature": "s"})),
        says("a tool call's input", tool(json!({"q": ["zork"]}))),
        streams(
            "a word in two deltas",
            json!({"type": "text", "text": ""}),
            &[json!({"type": "text_delta", "text": "zo"}), json!({"type": "text_delta", "text": "rk"})],
        ),
        streams("text where a block begins", json!({"type": "text", "text": "zork"}), &[]),
        streams(
            "streamed thinking",
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            &[json!({"type": "thinking_delta", "thinking": "zork"})],
        ),
        streams(
            "a streamed tool call's input",
            tool(json!({})),
            &[
                json!({"type": "input_json_delta", "partial_json": "{\"q\": \"zo"}),
                json!({"type": "input_json_delta", "partial_json": "rk\"}"}),
            ],
        ),
    ]
}

fn responses_rows() -> Vec<Row> {
    const PATH: &str = "/v1/responses";
    let ask = |member: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "hello"});
        body[member] = value;
        body
    };
    let response = |output: Value| {
        json!({"id": "r", "object": "response", "created_at": 1, "model": "m",
        "status": "completed", "output": output})
    };
    let says =
        |way, item: Value| answer(way, PATH, ask("stream", json!(false)), whole(&response(json!([item]))));
    let message = |part: Value| json!({"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [part]});
    let text = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let place = |kind: &str, member: &str, value: Value| {
        json!({"type": kind, "sequence_number": 0, "item_id": "i",
        "output_index": 0, "content_index": 0, member: value})
    };
    let streamed = [
        place("response.created", "response", response(json!([]))),
        place("response.output_item.added", "item", message(text(""))),
        place("response.output_text.delta", "delta", json!("zo")),
        place("response.output_text.delta", "delta", json!("rk")),
        place("response.output_text.done", "text", json!("zork")),
        place("response.output_item.done", "item", message(text("zork"))),
        place("response.completed", "response", response(json!([message(text("zork"))]))),
    ];
    vec![
        question("the input", PATH, ask("input", json!("zork"))),
        question(
            "an item that is not the last",
            PATH,
            ask("input", json!([{"role": "user", "content": "zork"}, {"role": "user", "content": "hello"}])),
        ),
        question("the instructions", PATH, ask("instructions", json!("zork"))),
        question(
            "a tool's result",
            PATH,
            ask("input", json!([{"type": "function_call_output", "call_id": "c", "output": "zork"}])),
        ),
        question(
            "a tool's description",
            PATH,
            ask("tools", json!([{"type": "function", "name": "f", "description": "zork", "parameters": {}}])),
        ),
        says("an answer", message(text("zork"))),
        says("a refusal", message(json!({"type": "refusal", "refusal": "zork"}))),
        says(
            "a summary of reasoning",
            json!({"type": "reasoning", "id": "i", "summary": [{"type": "summary_text", "text": "zork"}]}),
        ),
        says(
            "a tool call's arguments",
            json!({"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": "{\"q\": \"zork\"}"}),
        ),
        answer("a stream", PATH, ask("stream", json!(true)), typed(&streamed)),
    ]
}

fn older_rows() -> Vec<Row> {
    let prompt = |prompt: Value| json!({"model": "m", "prompt": prompt});
    let input = |input: Value| json!({"model": "m", "input": input});
    let said = json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "text": "fine", "finish_reason": "stop"}, {"index": 1, "text": "zork", "finish_reason": "stop"}]});
    vec![
        question("a prompt", "/v1/completions", prompt(json!("zork"))),
        question("the second of two prompts", "/v1/completions", prompt(json!(["hello", "zork"]))),
        answer("the second choice", "/v1/completions", prompt(json!("hello")), whole(&said)),
        question("a text to embed", "/v1/embeddings", input(json!("zork"))),
        question("the second of two texts to embed", "/v1/embeddings", input(json!(["hello", "zork"]))),
    ]
}

/// Events that name their type, as those of Anthropic and of Responses do.
fn typed(events: &[Value]) -> Script {
    let events: Vec<Bytes> = events.iter().map(|data| event(data["type"].as_str(), data)).collect();
    stream(&events)
}
