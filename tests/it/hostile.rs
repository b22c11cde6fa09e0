//! Bad input and bad upstreams: a clear error in OpenAI's shape, a metric, nothing leaked, and the next request
//! is answered as if nothing had been.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Script, TestApp};

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let cases: [(Vec<u8>, &str); 8] = [
        (b"".to_vec(), "empty"),
        (b"{\"model\": \"m\",".to_vec(), "not valid JSON"),
        (b"\xff\xfe{}".to_vec(), "not valid UTF-8"),
        (b"[1]".to_vec(), "an array"),
        (br#"{"messages":[{"role":"user","content":"x"}]}"#.to_vec(), "model"),
        (br#"{"model":"m","messages":{}}"#.to_vec(), "an object"),
        (br#"{"model":"m","messages":[{"role":"user","content":{"a":1}}]}"#.to_vec(), "messages[0].content"),
        (deep.into_bytes(), "recursion limit"),
    ];
    for (body, expected) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let reply = app.raw(body).await;
        assert_eq!(reply.status, 400, "{shown}");
        let error = reply.json()["error"].clone();
        assert_eq!(error["type"], "invalid_request_error", "{shown}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{shown}: {error}");
    }
    assert_eq!(app.metric(r#"demur_rejected_total{reason="malformed"}"#).await, 8.0);
    assert!(model.bodies().is_empty());
    assert_eq!(app.ask("hello").await.content(), "hello");
}

#[tokio::test]
async fn an_oversize_body_is_refused_by_its_size() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| settings.max_body = Some("64KiB".parse().unwrap())).await;
    let reply = app.ask(&"a".repeat(70_000)).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str().unwrap()), (413, "request_too_large"));
    assert_eq!(app.metric(r#"demur_rejected_total{reason="body_size"}"#).await, 1.0);
}

#[tokio::test]
async fn a_line_of_megabytes_is_judged_off_the_async_threads() {
    let model = Model::start(Script::Say("ok".into())).await;
    // A network reads some ten thousand tokens a second; this is for what reads megabytes.
    let app = TestApp::with(&model, |settings| {
        settings.policy = Some("patterns".to_owned());
        settings.max_body = Some("8MiB".parse().unwrap());
        settings.guard_timeout = Some("60s".parse().unwrap());
    })
    .await;
    let reply = app.ask(&"lorem ipsum dolor ".repeat(300_000)).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "ok"));
}

#[tokio::test]
async fn a_guard_that_is_late_fails_closed_and_says_so() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| {
        settings.max_body = Some("8MiB".parse().unwrap());
        settings.guard_timeout = Some("1ms".parse().unwrap());
    })
    .await;
    let reply = app.ask(&"call me at 555 0100 or a@b.example ".repeat(100_000)).await;
    assert_eq!(reply.header("x-demur-verdict"), "refuse");
    assert!(reply.header("x-demur-rules").contains("guard-unavailable"));
    assert!(model.bodies().is_empty());
}

/// Odd texts get a verdict, in time.
#[tokio::test]
async fn texts_that_are_none_are_judged_in_time() {
    let model = Model::start(Script::Say("ok".into())).await;
    let app = TestApp::before(&model).await;
    let megabyte = "lorem ipsum dolor ".repeat(60_000);
    let surrogates = r#"{"model": "any", "messages": [{"role": "user", "content": "a \ud800 b \udc00"}]}"#;
    for text in ["", " \n\t ", "😀😀😀😀", "a\u{0}b", "Привет 你好 مرحبا שלום hello", &megabyte]
    {
        let started = std::time::Instant::now();
        let reply = app.ask(text).await;
        assert!(["allow", "steer", "refuse"].contains(&reply.header("x-demur-verdict")), "{}", reply.text);
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{} bytes", text.len());
    }
    let reply = app.raw(surrogates).await;
    assert!(reply.status == 200 || reply.status == 400, "{}", reply.text);
}

#[tokio::test]
async fn a_body_that_comes_a_byte_at_a_time_is_given_up() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| settings.body_timeout = Some("200ms".parse().unwrap())).await;
    let mut slow = TcpStream::connect(app.address).await.unwrap();
    slow.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        .await
        .unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| settings.head_timeout = Some("200ms".parse().unwrap())).await;
    let mut slow = TcpStream::connect(app.address).await.unwrap();
    slow.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost").await.unwrap();
    let mut answer = Vec::new();
    // The connection ends by itself, or this read would never return.
    slow.read_to_end(&mut answer).await.unwrap();
}

#[tokio::test]
async fn an_oversize_head_is_refused() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    let reply = app.post("/v1/chat/completions").header("x-big", "a".repeat(200_000)).body("{}").send().await;
    // Refused with a status, or by closing before all of it was read.
    assert!(reply.map_or(true, |reply| reply.status() == 431));
    assert_eq!(app.ask("hello").await.content(), "hello");
}

/// An upstream's misdeeds, and the status and code that the client gets.
async fn misdeed(script: Script, change: impl FnOnce(&mut demur::config::Settings)) -> (u16, Value) {
    let model = Model::start(script).await;
    let app = TestApp::with(&model, change).await;
    let reply = app.ask("hello").await;
    (reply.status, reply.json()["error"].clone())
}

#[tokio::test]
async fn html_for_an_answer_is_a_broken_upstream() {
    let page =
        Script::Raw(200, "text/html", "<html><body>Welcome to nginx, user@10.0.0.1</body></html>".into());
    let (status, error) = misdeed(page, |_| ()).await;
    assert_eq!((status, error["code"].as_str().unwrap()), (502, "upstream_broken"));
    assert!(!error.to_string().contains("nginx"));
}

#[tokio::test]
async fn an_error_page_is_put_into_the_error_shape() {
    let page = Script::Raw(418, "text/html", "<html>internal host db-7</html>".into());
    let (status, error) = misdeed(page, |_| ()).await;
    assert_eq!(status, 418);
    assert!(error["message"].as_str().is_some() && !error.to_string().contains("db-7"));
}

#[tokio::test]
async fn garbage_for_an_answer_is_a_broken_upstream() {
    for body in ["{\"choices\":", "null", "{\"object\":\"list\"}"] {
        let (status, error) = misdeed(Script::Raw(200, "application/json", body.into()), |_| ()).await;
        assert_eq!((status, error["code"].as_str().unwrap()), (502, "upstream_broken"), "{body}");
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_is_given_up() {
    let (status, error) = misdeed(Script::Hang, |settings| {
        settings.request_timeout = Some("300ms".parse().unwrap());
    })
    .await;
    assert_eq!((status, error["code"].as_str().unwrap()), (504, "timeout"));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let model = Model::start(Script::Echo).await;
    let app =
        TestApp::with(&model, |settings| settings.upstream = Some("http://127.0.0.1:9/v1".into())).await;
    let reply = app.ask("hello").await;
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].as_str().unwrap()),
        (503, "upstream_unavailable")
    );
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_held() {
    let model = Model::start(Script::Say("word ".repeat(2_000))).await;
    // Held to its end, so that no words of it are out before the limit is met.
    let policy = PolicyFile::new(&format!("stream: buffer{REFUSE_ZORK}"));
    let app = TestApp::with(&model, |settings| {
        settings.policy = Some(policy.path());
        settings.max_answer = Some("64KiB".parse().unwrap());
    })
    .await;
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let reply = app.chat(body).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str().unwrap()), (502, "upstream_broken"));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let model = Model::start(Script::Hang).await;
    let app = TestApp::before(&model).await;
    let request = app
        .post("/v1/chat/completions")
        .json(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}));
    let asked = tokio::spawn(request.send());
    until(async || app.metric("demur_requests_in_flight").await == 1.0).await;
    asked.abort();
    until(async || app.metric("demur_requests_in_flight").await == 0.0).await;
}

/// Asks again and again until it holds; the test fails when it never does.
async fn until(holds: impl AsyncFn() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it never came to hold");
}
