//! The life of a process: reload without a dropped request, drain, readiness.

use std::time::Duration;

use serde_json::json;

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Script, TestApp, sse};

/// Asks until the answer has this verdict. Every answer on the way must be a good one.
async fn until_verdict(app: &TestApp, text: &str, verdict: &str) {
    let asking = async {
        loop {
            let reply = app.ask(text).await;
            assert_eq!(reply.status, 200);
            if reply.header("x-demur-verdict") == verdict {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("the verdict never came");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_policy_takes_effect_without_a_dropped_request() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new("rules: []\n");
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let before = app.ask("zork").await;
    assert_eq!(before.header("x-demur-verdict"), "allow");
    policy.write(REFUSE_ZORK);
    until_verdict(&app, "zork", "refuse").await;
    assert_ne!(app.ask("zork").await.header("x-demur-policy"), before.header("x-demur-policy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_edit_changes_nothing() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let before = app.ask("zork").await;
    policy.write("rules:\n  - {id: x, on: [input], when: pii.credit_crad > 0, do: refuse}\n");
    let failed = async {
        while app.metric(r#"demur_policy_loads_total{result="error"}"#).await == 0.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), failed).await.expect("the broken policy was never read");
    let after = app.ask("zork").await;
    assert_eq!(after.header("x-demur-verdict"), "refuse");
    assert_eq!(after.header("x-demur-policy"), before.header("x-demur-policy"));
    // And the next good one is taken.
    policy.write("rules: []\n");
    until_verdict(&app, "zork", "allow").await;
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start() {
    let settings = demur::config::Settings { policy: Some("no-such-policy".into()), ..Default::default() };
    let config = demur::config::resolve(settings, None).unwrap();
    let error = format!("{:#}", demur::app::App::build(config).await.err().unwrap());
    assert!(
        error.contains("no-such-policy") && error.contains("default") && !error.contains('\n'),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_streams_finish() {
    let (feed, fed) = tokio::sync::mpsc::channel(1);
    let model = Model::start(Script::Fed(std::sync::Arc::new(tokio::sync::Mutex::new(fed)))).await;
    let app = TestApp::with(&model, |settings| settings.policy = Some("observe".into())).await;
    let mut pieces = sse("first second").into_iter();
    feed.send(pieces.next().unwrap()).await.unwrap();
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let mut response = app.post("/v1/chat/completions").json(&body).send().await.unwrap();
    response.chunk().await.unwrap().unwrap();
    app.stop.cancel();
    let refused = async {
        while tokio::net::TcpStream::connect(app.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("new connections go on being taken");
    for piece in pieces {
        feed.send(piece).await.unwrap();
    }
    drop(feed);
    let mut rest = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        rest.extend_from_slice(&piece);
    }
    assert!(String::from_utf8(rest).unwrap().ends_with("data: [DONE]\n\n"));
    assert_eq!(app.running.await.unwrap().unwrap(), demur::http::serve::Drained::All);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_a_limit() {
    let model = Model::start(Script::Hang).await;
    let app = TestApp::with(&model, |settings| settings.drain_timeout = Some("100ms".parse().unwrap())).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let asked = tokio::spawn(app.post("/v1/chat/completions").json(&body).send());
    while app.metric("demur_requests_in_flight").await == 0.0 {
        tokio::task::yield_now().await;
    }
    app.stop.cancel();
    assert_eq!(app.running.await.unwrap().unwrap(), demur::http::serve::Drained::CutOff);
    asked.abort();
}
