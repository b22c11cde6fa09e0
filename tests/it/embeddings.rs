//! What a client of `POST /v1/embeddings` gets: the upstream's numbers, or an error that says why not.

use serde_json::json;

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp};

const PATH: &str = "/v1/embeddings";
const NUMBERS: &str =
    r#"{"object":"list", "data":[{"object":"embedding","index":0,"embedding":[0.10,-2e-3]}],"model":"m"}"#;

async fn model() -> Model {
    Model::start(Script::Raw(200, "application/json", NUMBERS.into())).await
}

#[tokio::test]
async fn what_is_harmless_keeps_its_bytes_both_ways() {
    let model = model().await;
    let app = TestApp::with(&model, |settings| settings.verdict_in_body = Some(true)).await;
    let request = "{ \"input\":[\"h\\u00e9llo\", \"you\"],\"model\":\"m\",  \"dimensions\":2 }";
    let reply = Reply::of(app.post(PATH).body(request)).await;
    assert_eq!((reply.status, &*reply.text, reply.header("x-demur-verdict")), (200, NUMBERS, "allow"));
    assert_eq!(model.bodies(), [request.as_bytes()]);
}

#[tokio::test]
async fn a_refused_input_is_an_error_with_the_polite_reply() {
    let model = model().await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    for input in [json!("zork"), json!(["fine", "zork"])] {
        let reply = app.send(PATH, json!({"model": "m", "input": input})).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, reply.header("x-demur-verdict")), (400, "refuse"));
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("invalid_request_error"), &json!("content_filter"))
        );
        assert_eq!(error["param"], "input");
        assert!(error["message"].as_str().unwrap().len() > 20);
    }
    assert!(model.bodies().is_empty());
    let refusals = r#"demur_refusals_total{direction="input",hazard="cyber",policy="test",rule="no-zork"}"#;
    assert_eq!(app.metric(refusals).await, 2.0);
}

#[tokio::test]
async fn an_input_is_redacted_and_the_numbers_stay() {
    let model = model().await;
    let policy =
        PolicyFile::new("rules:\n  - {id: cards, on: [input], when: pii.credit_card > 0, do: redact}\n");
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let reply = app.send(PATH, json!({"model": "m", "input": ["fine", "card 4111 1111 1111 1111"]})).await;
    assert_eq!((&*reply.text, reply.header("x-demur-verdict")), (NUMBERS, "redact"));
    assert_eq!(model.last()["input"][0], "fine");
    assert!(!model.last().to_string().contains("1111"), "{}", model.last());
}

#[tokio::test]
async fn tokens_are_turned_away() {
    let model = model().await;
    let app = TestApp::before(&model).await;
    for input in [json!([1, 2, 3]), json!([[1], [2]])] {
        let reply = app.send(PATH, json!({"model": "m", "input": input})).await;
        assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("input")));
        assert!(reply.text.contains("holds tokens, which can't be judged"), "{}", reply.text);
    }
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn an_error_of_the_upstream_is_passed_on() {
    let error =
        r#"{"error":{"message":"too long","type":"invalid_request_error","param":"input","code":null}}"#;
    let model = Model::start(Script::Raw(400, "application/json", error.into())).await;
    let app = TestApp::before(&model).await;
    let reply = app.send(PATH, json!({"model": "m", "input": "hello"})).await;
    assert_eq!((reply.status, &*reply.text), (400, error));
}
