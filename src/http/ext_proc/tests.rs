//! What Envoy is told, part by part: cases that a real Envoy does not show at will (tests/sdk/test_envoy.py has one).

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use serde_json::json;
use tokio_stream::StreamExt;

use super::{
    begin,
    messages::Head,
    proto::{
        BodyMode, HeaderMap, HeaderValue, HttpBody, HttpHeaders, HttpTrailers, Mutation, Part, PartResponse,
        ProcessingRequest, ProtocolConfiguration, Reaction,
    },
    question::dialect_of,
};
use crate::{
    gateway::{Gateway, RefusalShape, Rules, Settings},
    guard::{Detectors, Guard, Limits, reply::Replies, set::GuardSet},
    http::{Limits as HttpLimits, State, Surface, keys::Keys},
    policy::Policy,
    telemetry::Metrics,
    upstream::Upstreams,
};

const POLICY: &str = "demur: 1\nname: test\nlists:\n  zork: [zork]\nrules:\n  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse}\n";
const EVENTS: &str = "text/event-stream";

fn state() -> State {
    let (metrics, detectors, replies) = (Arc::new(Metrics::new()), Detectors::builtin(), Replies::builtin());
    let catalog = detectors.catalog(replies.names(), replies.notices());
    let policy = Arc::new(Policy::parse("test.yaml", POLICY, &catalog).unwrap());
    let guard = Guard::new(policy, &detectors, Limits::default(), Arc::clone(&metrics)).unwrap();
    let rules = Rules { guards: GuardSet::new(Arc::new(guard), Vec::new()), replies: Arc::new(replies) };
    let settings = Settings {
        refusal_shape: RefusalShape::Message,
        verdict_in_body: false,
        region: None,
        max_answer_bytes: 1 << 20,
    };
    let upstreams = Arc::new(Upstreams::new(Vec::new()).unwrap());
    Arc::new(Surface {
        gateway: Gateway::new(rules, upstreams, settings, Arc::clone(&metrics)),
        keys: Keys::new(&[]).unwrap(),
        limits: HttpLimits {
            body_bytes: 1 << 20,
            body_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            in_flight: 10,
        },
        metrics,
        draining: AtomicBool::new(false),
    })
}

/// Says these parts to a processor and gives all that it says.
async fn talk(mode: BodyMode, parts: Vec<Part>) -> Vec<Result<Reaction, tonic::Code>> {
    let config = ProtocolConfiguration { request_body_mode: mode.into(), response_body_mode: mode.into() };
    let mut config = Some(config);
    let messages = parts.into_iter().map(move |part| {
        Ok(ProcessingRequest { part: Some(part), observability_mode: false, protocol_config: config.take() })
    });
    let reactions = begin(&state(), tokio_stream::iter(messages.collect::<Vec<_>>()));
    let reactions = reactions.map(|reaction| match reaction {
        Ok(message) => Ok(message.reaction.unwrap()),
        Err(status) => Err(status.code()),
    });
    reactions.collect().await
}

fn head(headers: &[(&str, &str)]) -> HttpHeaders {
    let value = |(key, value): &(&str, &str)| HeaderValue {
        key: (*key).to_owned(),
        value: String::new(),
        raw_value: value.to_string().into(),
    };
    HttpHeaders {
        headers: Some(HeaderMap { headers: headers.iter().map(value).collect() }),
        end_of_stream: false,
    }
}

fn request() -> Part {
    Part::RequestHeaders(head(&[(":method", "POST"), (":path", "/v1/chat/completions")]))
}

fn response(content_type: &str) -> Part {
    Part::ResponseHeaders(head(&[(":status", "200"), ("content-type", content_type)]))
}

fn asks(text: &str, stream: bool) -> String {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}).to_string()
}

fn says(text: &str) -> String {
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]});
    format!("data: {chunk}\n\ndata: [DONE]\n\n")
}

fn body(text: &str, end_of_stream: bool) -> HttpBody {
    HttpBody { body: text.to_owned().into(), end_of_stream }
}

/// The text that takes a piece's place; nothing where the piece goes on as it came.
fn text_of(response: &PartResponse) -> Option<String> {
    match response.response.as_ref()?.body_mutation.as_ref()?.mutation.as_ref()? {
        Mutation::Body(body) => Some(String::from_utf8(body.to_vec()).unwrap()),
        Mutation::Clear(_) => Some(String::new()),
        Mutation::Streamed(piece) => Some(String::from_utf8(piece.body.to_vec()).unwrap()),
    }
}

/// What the client sees of an answer of which no piece goes on as it came.
fn shown(reactions: &[Result<Reaction, tonic::Code>]) -> String {
    let texts = reactions.iter().filter_map(|reaction| match reaction {
        Ok(Reaction::ResponseBody(piece)) => Some(text_of(piece).expect("it was replaced")),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn trailers_end_a_body_and_come_after_it() {
    let question = asks("hello", false);
    let (first, second) = question.split_at(9);
    let parts = vec![
        request(),
        Part::RequestBody(body(first, false)),
        Part::RequestBody(body(second, false)),
        Part::RequestTrailers(HttpTrailers {}),
    ];
    let reactions = talk(BodyMode::FullDuplexStreamed, parts).await;
    let [
        Ok(Reaction::RequestHeaders(_)),
        Ok(Reaction::RequestBody(sent)),
        Ok(Reaction::RequestTrailers(_)),
        ended,
    ] = &reactions[..]
    else {
        panic!("{reactions:?}")
    };
    // No answer came.
    assert_eq!(ended, &Err(tonic::Code::Cancelled));
    assert_eq!(text_of(sent), Some(question));
}

#[tokio::test]
async fn trailers_behind_pieces_are_an_error() {
    let parts = vec![
        request(),
        Part::RequestBody(body(&asks("hello", false), false)),
        Part::RequestTrailers(HttpTrailers {}),
    ];
    let reactions = talk(BodyMode::Streamed, parts).await;
    let Some(Ok(Reaction::Immediate(error))) = reactions.last() else { panic!("{reactions:?}") };
    assert_eq!(error.status.as_ref().unwrap().code, 400);
}

#[tokio::test]
async fn each_piece_gets_one_reaction_and_nothing_is_shown_unjudged() {
    let answer = says("the word is zork");
    let (first, second) = answer.split_at(answer.len() - 20);
    let parts = vec![
        request(),
        Part::RequestBody(body(&asks("hello", true), true)),
        response(EVENTS),
        Part::ResponseBody(body(first, false)),
        Part::ResponseBody(body(second, true)),
    ];
    let reactions = talk(BodyMode::Streamed, parts).await;
    assert_eq!(reactions.len(), 5, "{reactions:?}");
    let shown = shown(&reactions);
    assert!(!shown.contains("zork") && shown.contains("content_filter"), "{shown}");
}

#[tokio::test]
async fn the_end_of_an_answer_waits_for_its_trailers() {
    let answer = says("fine");
    let parts = vec![
        request(),
        Part::RequestBody(body(&asks("hello", true), true)),
        response(EVENTS),
        Part::ResponseBody(body(&answer, false)),
        Part::ResponseTrailers(HttpTrailers {}),
    ];
    let reactions = talk(BodyMode::FullDuplexStreamed, parts).await;
    assert_eq!(shown(&reactions), answer);
    assert!(matches!(reactions.last(), Some(Ok(Reaction::ResponseTrailers(_)))), "{reactions:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_shown() {
    let answer = says("the first half of it");
    let parts = vec![
        request(),
        Part::RequestBody(body(&asks("hello", true), true)),
        response(EVENTS),
        Part::ResponseBody(body(&answer[..answer.len() / 2], false)),
    ];
    for mode in [BodyMode::FullDuplexStreamed, BodyMode::Streamed] {
        let reactions = talk(mode, parts.clone()).await;
        assert_eq!(shown(&reactions), "", "{reactions:?}");
    }
}

#[tokio::test]
async fn an_answer_before_the_question_is_whole_is_an_error() {
    let parts = vec![request(), Part::RequestBody(body("{", false)), response("application/json")];
    for mode in [BodyMode::FullDuplexStreamed, BodyMode::Streamed] {
        let reactions = talk(mode, parts.clone()).await;
        let Some(Ok(Reaction::Immediate(error))) = reactions.last() else { panic!("{reactions:?}") };
        assert_eq!(error.status.as_ref().unwrap().code, 502);
    }
}

#[tokio::test]
async fn what_comes_of_a_question_after_its_answer_goes_nowhere() {
    let busy = Part::ResponseHeaders(head(&[(":status", "429")]));
    let parts = vec![
        request(),
        Part::RequestBody(body("{", false)),
        busy,
        Part::RequestBody(body("zork", true)),
        Part::ResponseBody(body("busy", true)),
    ];
    let reactions = talk(BodyMode::Streamed, parts).await;
    let [.., Ok(Reaction::RequestBody(late)), Ok(Reaction::ResponseBody(busy))] = &reactions[..] else {
        panic!("{reactions:?}")
    };
    assert_eq!((text_of(late), text_of(busy)), (Some(String::new()), None));
}

/// A stream that ends well would make Envoy go on without the guard.
#[tokio::test]
async fn what_can_not_be_followed_ends_with_an_error() {
    let body_first = vec![Part::RequestBody(body("{}", true))];
    assert_eq!(talk(BodyMode::Buffered, body_first).await, [Err(tonic::Code::FailedPrecondition)]);
    let no_answer_head = vec![
        request(),
        Part::RequestBody(body(&asks("hello", false), true)),
        Part::ResponseBody(body("{}", true)),
    ];
    let reactions = talk(BodyMode::Buffered, no_answer_head).await;
    assert_eq!(reactions.last(), Some(&Err(tonic::Code::FailedPrecondition)));
}

#[test]
fn a_chat_is_known_by_its_path_however_it_is_spelled() {
    let is_chat = |method: &str, path: &str| {
        let head = Head { method: method.to_owned(), path: path.to_owned(), ..Head::default() };
        dialect_of(&head).is_some_and(|dialect| dialect.name() == "chat")
    };
    for path in [
        "/v1/chat/completions",
        "/v1/chat/completions/?x=1",
        "//v1/./chat//completions",
        "/v1/models/../chat/completions",
        "/v1/%63hat/completion%73",
        "/v1\\chat/completions;a=b",
        "/openai/deployments/d/Chat/Completions?api-version=1",
    ] {
        assert!(is_chat("POST", path), "{path}");
    }
    for (method, path) in [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/models?a=/chat/completions"),
        ("POST", "/"),
        ("POST", "completions"),
    ] {
        assert!(!is_chat(method, path), "{method} {path}");
    }
}
