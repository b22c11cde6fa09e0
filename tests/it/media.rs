//! Images, audio and files, which no detector reads: passed, refused or stripped, and told in every case.

use serde_json::{Value, json};

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Script, TestApp};

const URL: &str = "https://example.com/cat.png";

/// A question with an image and a sound.
fn ask() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]}]})
}

async fn under(model: &Model, rules: &str) -> (TestApp, PolicyFile) {
    let policy = PolicyFile::new(rules);
    let change = |settings: &mut demur::config::Settings| {
        settings.policy = Some(policy.path());
        settings.verdict_in_body = Some(true);
    };
    (TestApp::with(model, change).await, policy)
}

async fn passed(app: &TestApp, kind: &str) -> f64 {
    app.metric(&format!("demur_unjudged_media_total{{kind=\"{kind}\"}}")).await
}

#[tokio::test]
async fn media_pass_and_it_is_told() {
    let model = Model::start(Script::Say("A cat.".into())).await;
    let (app, _policy) = under(&model, "rules: []\n").await;
    let reply = app.chat(ask()).await;
    assert_eq!((reply.header("x-demur-verdict"), reply.header("x-demur-unprotected")), ("allow", "media"));
    let coverage = json!({"characters": 13, "judged": 13, "media": 2});
    assert_eq!(reply.json()["demur"]["input"]["coverage"], coverage);
    assert_eq!(
        reply.json()["demur"]["output"]["coverage"],
        json!({"characters": 6, "judged": 6, "media": 0})
    );
    assert_eq!((passed(&app, "image").await, passed(&app, "audio").await), (1.0, 1.0));
    assert_eq!(model.last(), ask());
    // Texts alone are not called unprotected.
    assert_eq!(app.ask("hello").await.header("x-demur-unprotected"), "");
}

#[tokio::test]
async fn media_are_refused_politely() {
    let model = Model::start(Script::Echo).await;
    for input in ["before", "beside"] {
        let (app, _policy) = under(&model, &format!("media: refuse\ninput: {input}\nrules: []\n")).await;
        let reply = app.chat(ask()).await;
        assert_eq!((reply.status, reply.header("x-demur-rules")), (200, "media"));
        assert!(reply.content().contains("images"), "{}", reply.text);
        assert_eq!(reply.json()["choices"][0]["finish_reason"], "content_filter");
        assert_eq!(reply.header("x-demur-unprotected"), "");
        assert_eq!(passed(&app, "image").await, 0.0);
        let refusals = r#"demur_refusals_total{direction="input",hazard="none",policy="test",rule="media"}"#;
        assert_eq!(app.metric(refusals).await, 1.0);
    }
    // Not even beside its judgement.
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn media_are_stripped_before_any_model_is_asked() {
    let model = Model::start(Script::Say("I see nothing.".into())).await;
    for input in ["before", "beside"] {
        let (app, _policy) = under(&model, &format!("media: strip\ninput: {input}\nrules: []\n")).await;
        let reply = app.chat(ask()).await;
        assert_eq!((reply.header("x-demur-verdict"), reply.header("x-demur-rules")), ("redact", "media"));
        assert_eq!(reply.header("x-demur-unprotected"), "");
        let content = json!([
            {"type": "text", "text": "What is this?"},
            {"type": "text", "text": "[image removed]"},
            {"type": "text", "text": "[audio removed]"},
        ]);
        assert_eq!(model.last()["messages"][0]["content"], content);
        assert_eq!(passed(&app, "image").await, 0.0);
    }
    assert_eq!(model.bodies().len(), 2, "each question was asked once");
}

#[tokio::test]
async fn a_shadow_policy_counts_and_passes() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = under(&model, "mode: shadow\nmedia: refuse\nrules: []\n").await;
    let reply = app.chat(ask()).await;
    let verdict = &reply.json()["demur"]["input"];
    assert_eq!((&verdict["action"], &verdict["would"]), (&json!("allow"), &json!("refuse")));
    assert_eq!(reply.header("x-demur-unprotected"), "media");
    assert_eq!(model.last(), ask());
}

#[tokio::test]
async fn the_words_beside_media_and_of_unknown_parts_are_judged() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = under(&model, REFUSE_ZORK).await;
    for part in [
        json!({"type": "file", "file": {"filename": "zork.pdf", "file_data": "AAAA"}}),
        json!({"type": "image_url", "image_url": {"url": URL}, "title": "zork"}),
        json!({"type": "thinking", "thinking": "zork"}),
    ] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
        assert_eq!(app.chat(body).await.header("x-demur-rules"), "no-zork");
    }
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn a_check_tells_of_media_too() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = under(&model, "media: refuse\nrules: []\n").await;
    let reply = app.send("/v1/guard/check", json!({"messages": ask()["messages"]})).await;
    assert_eq!(reply.json()["verdict"]["rules"][0]["id"], "media");
    assert!(reply.json()["reply"].as_str().unwrap().contains("images"));
}
