//! Requests and answers as bytes, as clients and upstreams send them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{Answer, Asked, BadBody, Dialect, Refusal, Request, stream::testing::follow},
    COMPLETIONS,
};
use crate::message::{Place, Role};

fn request(body: &Value) -> Result<Request, BadBody> {
    Request::parse(&COMPLETIONS, Bytes::from(body.to_string()))
}

fn asked(n: usize) -> Asked {
    Asked { model: "m".into(), stream: true, include_usage: true, n, wants_moderation: false }
}

#[test]
fn every_text_that_the_model_reads_is_a_segment_and_can_be_written_back() {
    let mut request =
        request(&json!({"model": "m", "prompt": ["a", "b"], "suffix": "c", "stop": ["x"], "user": "u",
        "logit_bias": {"50256": -100}, "guided_json": {"properties": {"q/x": {"description": "d"}}}}))
        .unwrap();
    let segments = request.segments();
    let seen: Vec<(&str, &str, Role, Place)> =
        segments.iter().map(|s| (&*s.pointer, &*s.text, s.role, s.place)).collect();
    let expected = [
        ("/prompt/0", "a", Role::User, Place::Content),
        ("/prompt/1", "b", Role::User, Place::Content),
        ("/suffix", "c", Role::User, Place::Content),
        ("/guided_json/properties/q~1x/description", "d", Role::Developer, Place::Other),
    ];
    assert_eq!(seen, expected);
    for segment in segments {
        request.replace(&segment.pointer, format!("<{}>", segment.text));
    }
    let texts: Vec<String> = request.segments().iter().map(|s| s.text.to_string()).collect();
    assert_eq!(texts, ["<a>", "<b>", "<c>", "<d>"]);
}

#[test]
fn there_are_n_choices_for_each_prompt() {
    let n = |body: Value| request(&body).unwrap().asked().n;
    assert_eq!(n(json!({"model": "m", "prompt": "a", "n": 2})), 2);
    assert_eq!(n(json!({"model": "m", "prompt": ["a", "b", "c"], "n": 2})), 6);
    assert_eq!(n(json!({"model": "m", "prompt": null})), 1);
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (json!({"model": "m"}), "prompt", "missing required parameter"),
        (json!({"model": "m", "prompt": []}), "prompt", "is empty"),
        (json!({"model": "m", "prompt": {"text": "a"}}), "prompt", "an object"),
        (json!({"model": "m", "prompt": [1, 2]}), "prompt", "holds tokens"),
        (json!({"model": "m", "prompt": [[1], [2]]}), "prompt", "holds tokens"),
        (json!({"model": "m", "prompt": ["a", null]}), "prompt[1]", "found null"),
        (json!({"model": "m", "prompt": "a", "prompt_embeds": "AAAA"}), "prompt_embeds", "holds embeddings"),
        (json!({"model": "m", "prompt": vec!["a"; 129]}), "prompt", "at most 128"),
        (json!({"model": "m", "prompt": "a", "n": 1.5}), "n", "from 1 to 128"),
        (json!({"model": "m", "prompt": "a", "stream": 1}), "stream", "a number"),
        (json!({"prompt": "a"}), "model", "model"),
    ];
    for (body, param, message) in cases {
        let error = request(&body).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert!(error.message.contains(message), "{body}: {error}");
    }
}

#[test]
fn guidance_stands_before_every_prompt() {
    for (prompt, guided) in
        [(json!("a"), json!("g\n\na")), (json!(["a", ""]), json!(["g\n\na", "g"])), (Value::Null, json!("g"))]
    {
        let mut request = request(&json!({"model": "m", "prompt": prompt})).unwrap();
        request.add_guidance("g");
        let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
        assert_eq!(json["prompt"], guided);
    }
}

fn texts(answer: &Answer) -> Vec<(String, String)> {
    answer.segments().iter().map(|s| (s.pointer.clone(), s.text.to_string())).collect()
}

fn answer(choices: &Value) -> Answer {
    let body = json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": choices,
        "usage": {"total_tokens": 9}});
    Answer::read(&COMPLETIONS, Bytes::from(body.to_string())).unwrap()
}

#[test]
fn a_whole_answer_as_a_stream_says_the_same() {
    let choices = json!([
        {"text": "a", "index": 0, "logprobs": null, "finish_reason": "stop"},
        {"text": "b", "index": 1, "logprobs": null, "finish_reason": "length", "vendor": {"note": "c"}},
    ]);
    let whole = texts(&answer(&choices));
    let events = answer(&choices).into_events(&asked(2));
    assert_eq!(follow(&mut *COMPLETIONS.reader(&asked(2)), &events).unwrap(), whole);
    assert_eq!(whole.len(), 3);
    let said = String::from_utf8(events.concat()).unwrap();
    assert!(said.contains(r#""usage":{"total_tokens":9}"#) && said.ends_with("data: [DONE]\n\n"), "{said}");
}

#[test]
fn log_probabilities_that_spell_another_text_are_one() {
    for (token, expected) in [("b", vec!["ab", "x y"]), ("c", vec!["ab", "ac x y b"])] {
        let logprobs = json!({"tokens": ["a", token], "token_logprobs": [-1, -1], "text_offset": [0, 1],
            "top_logprobs": [{"a": -1, " x": -2}, {"y": -2, "b": -1}]});
        let answer = answer(&json!([{"text": "ab", "index": 0, "logprobs": logprobs}]));
        let texts: Vec<String> = texts(&answer).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, expected);
    }
}

#[test]
fn a_changed_text_takes_its_log_probabilities_along() {
    let mut answer = answer(&json!([{"text": "secret", "index": 0, "logprobs": {"tokens": ["secret"]}}]));
    answer.replace("/choices/0/text", "[X]".to_owned());
    assert!(!String::from_utf8_lossy(&answer.into_whole()).contains("secret"));
}

fn chunk(index: usize, text: &str, finish: Option<&str>) -> Bytes {
    let chunk = json!({"id": "c1", "object": "text_completion", "created": 7, "model": "m",
        "choices": [{"index": index, "text": text, "logprobs": null, "finish_reason": finish}]});
    Bytes::from(format!("data: {chunk}\n\n"))
}

#[test]
fn a_streams_texts_are_followed() {
    let done = Bytes::from_static(b"data: [DONE]\n\n");
    let events = [chunk(0, "Hel", None), chunk(1, "x", Some("stop")), chunk(0, "lo", Some("length")), done];
    let texts = follow(&mut *COMPLETIONS.reader(&asked(2)), &events).unwrap();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(at, text)| (&**at, &**text)).collect();
    assert_eq!(texts, [("/choices/0/text", "Hello"), ("/choices/1/text", "x")]);
}

#[test]
fn a_stream_that_is_none_is_told() {
    let error = |events: &[Bytes]| follow(&mut *COMPLETIONS.reader(&asked(1)), events).unwrap_err();
    assert!(error(&[chunk(0, "Hel", None)]).contains("broke off"));
    assert!(error(&[Bytes::from_static(b"<html>oops</html>")]).contains("without a chunk"));
    assert!(error(&[Bytes::from_static(b"data: {oops\n\n")]).contains("not JSON"));
    assert!(error(&[chunk(4_000_000, "a", None)]).contains("index"));
    assert!(
        error(&[Bytes::from_static(b"data: {\"error\":{\"message\":\"m\"}}\n\n")]).contains("error event")
    );
}

#[test]
fn a_refusal_is_the_text_of_every_choice() {
    let asked = asked(2);
    let refusal = Refusal { text: "No.", id: "id", created: 1, asked: &asked, instead: None, hazard: None };
    let json = COMPLETIONS.refusal(&refusal);
    let choice = |index: usize| json!({"text": "No.", "index": index, "logprobs": null, "finish_reason": "content_filter"});
    assert_eq!(json["choices"], json!([choice(0), choice(1)]));
    assert_eq!((&json["id"], &json["object"]), (&json!("cmpl-id"), &json!("text_completion")));
}

#[test]
fn a_stream_is_refused_behind_what_was_shown() {
    let mut reader = COMPLETIONS.reader(&asked(2));
    let first =
        json!({"id": "c1", "model": "m", "choices": [{"index": 0, "text": "Hel", "finish_reason": null}]});
    let event =
        super::super::sse::Event { raw: Bytes::new(), name: String::new(), data: Some(first.to_string()) };
    reader.read(&event, Some(&first)).unwrap();
    reader.shown(&first);
    let events = reader.refuse("No.", None);
    let texts = follow(&mut *COMPLETIONS.reader(&asked(2)), &events).unwrap();
    let texts: Vec<&str> = texts.iter().map(|(_, text)| &**text).collect();
    assert_eq!(texts, ["\n\nNo.", "No."]);
    let said = String::from_utf8(events.concat()).unwrap();
    assert_eq!(said.matches(r#""finish_reason":"content_filter""#).count(), 2);
    assert!(said.contains(r#""completion_tokens":1"#), "usage was asked for: {said}");
}
