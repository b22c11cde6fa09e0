//! Guards behind other servers, and the guard model's doubt that decides whether they are asked.

use demur::{app::App, config};

use crate::support::{Model, PolicyFile, Script, TestApp};

const POLICY: &str = "extends: patterns
rules:
  - {id: second-opinion, on: [input, output], when: llama_guard.harm > 0.5, do: refuse, reply: generic}
";

/// A gateway that asks this guard, on every exchange or `between` two scores.
async fn before(model: &Model, guard: &Model, between: &str) -> (TestApp, PolicyFile) {
    let policy = PolicyFile::new(POLICY);
    let guards = format!(
        "[{{kind: llama_guard, model: guard, upstream: {{name: guard, url: '{}', retries: 0}}{between}}}]",
        guard.url
    );
    let change = |settings: &mut config::Settings| {
        settings.policy = Some(policy.path());
        settings.guards = Some(guards.parse().unwrap());
    };
    (TestApp::with(model, change).await, policy)
}

#[tokio::test]
async fn what_an_external_guard_calls_unsafe_is_refused() {
    let (model, guard) =
        (Model::start(Script::Echo).await, Model::start(Script::Say("unsafe\nS9".into())).await);
    let (app, _policy) = before(&model, &guard, "").await;
    let reply = app.ask("hello").await;
    assert_eq!((reply.status, reply.header("x-demur-rules")), (200, "second-opinion"));
    assert!(model.bodies().is_empty());
    assert_eq!(guard.last()["messages"][0]["content"], "hello");
}

#[tokio::test]
async fn what_it_calls_safe_passes_and_the_answer_is_judged_after_its_question() {
    let (model, guard) =
        (Model::start(Script::Say("hi".into())).await, Model::start(Script::Say("safe".into())).await);
    let (app, _policy) = before(&model, &guard, "").await;
    assert_eq!(app.ask("hello").await.content(), "hi");
    let turns = &guard.last()["messages"];
    assert_eq!((&turns[0]["content"], &turns[1]["content"]), (&"hello".into(), &"hi".into()));
}

#[tokio::test]
async fn an_answer_that_is_no_opinion_never_passes_for_safe() {
    let (model, guard) =
        (Model::start(Script::Echo).await, Model::start(Script::Say("Looks safe to me".into())).await);
    let (app, _policy) = before(&model, &guard, "").await;
    let reply = app.ask("hello").await;
    assert_eq!(reply.header("x-demur-rules"), "guard-unavailable");
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn where_the_guard_model_is_sure_nobody_else_is_asked() {
    let (model, guard) = (Model::start(Script::Echo).await, Model::start(Script::Say("unsafe".into())).await);
    let (sure, _policy) = before(&model, &guard, ", between: [0.999, 1.0]").await;
    assert_eq!(sure.ask("hello").await.content(), "hello");
    assert!(guard.bodies().is_empty());
    let (doubtful, _policy) = before(&model, &guard, ", between: [0.0, 1.0]").await;
    assert_eq!(doubtful.ask("hello").await.header("x-demur-rules"), "second-opinion");
}

#[tokio::test]
async fn a_policy_that_reads_a_guard_nobody_set_up_stops_the_start() {
    let policy = PolicyFile::new(POLICY);
    let any = Some("127.0.0.1:0".parse().unwrap());
    let upstream = Some("http://127.0.0.1:9/v1".to_owned());
    let settings = config::Settings {
        listen: any,
        ops_listen: any,
        upstream,
        policy: Some(policy.path()),
        ..config::Settings::default()
    };
    let error = App::build(config::resolve(settings, None).unwrap()).await.err().unwrap().to_string();
    assert!(error.contains("`llama_guard.harm`") && error.contains("`guards`"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_told() {
    for (guards, told) in [
        (
            "[{kind: llama_guard, model: m, upstream: {name: g, url: 'http://h/v1'}, between: [0.9, 0.1]}]",
            "`between`",
        ),
        (
            "[{kind: granite_guardian, model: m, upstream: {name: g, url: 'http://h/v1'}, risks: [rain]}]",
            "social_bias",
        ),
        (
            "[{kind: qwen3guard, model: m, upstream: {name: g, url: 'http://h/v1'}, prompt_file: p}]",
            "`prompt_file`",
        ),
        (
            "[{kind: judge, model: m, upstream: {name: g, url: 'http://h/v1'}}, {kind: judge, model: n, upstream: {name: h, url: 'http://h/v1'}}]",
            "two of kind `judge`",
        ),
    ] {
        let settings =
            config::Settings { guards: Some(guards.parse().unwrap()), ..config::Settings::default() };
        let error = config::resolve(settings, None).err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    }
}
