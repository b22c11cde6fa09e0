//! The guard behind other gateways' APIs: each format with a harmless text, one that is refused, one that something is
//! taken out of, a body that is none, and a guard that can't judge.

mod details;

use demur::config::Settings;
use serde_json::{Value, json};

use crate::support::{Model, PolicyFile, Reply, Script, TestApp};

const POLICY: &str = r#"
lists:
  zork: [zork]
  plugh: [plugh]
rules:
  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}
  - {id: no-plugh, on: [input], when: list.plugh > 0 && role == "user", do: refuse, hazard: hate}
  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}
"#;

const CARD: &str = "My card: 4111 1111 1111 1111.";
const MASKED: &str = "My card: [CREDIT_CARD].";

/// A gateway with that policy, called `test`.
async fn before(change: impl FnOnce(&mut Settings)) -> (TestApp, PolicyFile) {
    let (model, policy) = (Model::start(Script::Echo).await, PolicyFile::new(POLICY));
    let app = TestApp::with(&model, |settings| {
        settings.policy = Some(policy.path());
        // No rule reads it.
        settings.guard_model = Some("none".into());
        change(settings);
    })
    .await;
    (app, policy)
}

/// A gateway whose policy asks a guard behind this URL.
async fn asking(guard: &str) -> (TestApp, PolicyFile) {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(
        "rules:\n  - {id: second-opinion, on: [input, output], when: llama_guard.harm > 0.5, do: refuse}\n",
    );
    let guards =
        format!("[{{kind: llama_guard, model: g, upstream: {{name: g, url: '{guard}', retries: 0}}}}]");
    let app = TestApp::with(&model, |settings| {
        settings.policy = Some(policy.path());
        settings.guard_model = Some("none".into());
        settings.guards = Some(guards.parse().unwrap());
    })
    .await;
    (app, policy)
}

async fn send(app: &TestApp, path: &str, body: &Value) -> Reply {
    Reply::of(app.post(path).json(body)).await
}

/// What an answer comes to, whatever its format.
#[derive(Debug, PartialEq)]
enum Said {
    Passed,
    Stopped,
    Masked(String),
    /// The guard could not judge, and the format has no refusal.
    Failed,
}

/// A format: where it is asked, a request about one text, and what its answer says.
struct Format {
    path: &'static str,
    ask: fn(&str) -> Value,
    read: fn(&Value) -> Said,
}

const FORMATS: [Format; 14] = [
    Format {
        path: "/beta/litellm_basic_guardrail_api",
        ask: |text| json!({"input_type": "request", "texts": [text], "request_data": {}, "images": null}),
        read: litellm,
    },
    Format {
        path: "/beta/litellm_basic_guardrail_api",
        ask: |text| json!({"input_type": "response", "texts": [text], "request_data": {}, "tool_calls": null}),
        read: litellm,
    },
    Format { path: "/agentgateway/request", ask: messages, read: agentgateway },
    Format { path: "/request", ask: messages, read: agentgateway },
    Format { path: "/agentgateway/response", ask: choices, read: agentgateway },
    Format { path: "/response", ask: choices, read: agentgateway },
    Format {
        path: "/api/v1/text/contents",
        ask: |text| json!({"contents": [text], "detector_params": {}}),
        read: |answer| detections(answer.get(0).unwrap_or(answer)),
    },
    Format {
        path: "/api/v1/text/chat",
        ask: |text| json!({"messages": [{"role": "user", "content": text}], "tools": [], "detector_params": {}}),
        read: detections,
    },
    Format {
        path: "/api/v1/text/generation",
        ask: |text| json!({"prompt": "Hi", "generated_text": text, "detector_params": {}}),
        read: detections,
    },
    Format {
        path: "/api/v1/text/context/doc",
        ask: |text| json!({"content": "Hi", "context_type": "docs", "context": ["a", text], "detector_params": {}}),
        read: detections,
    },
    Format {
        path: "/guardrail/test/version/DRAFT/apply",
        ask: |text| json!({"source": "INPUT", "content": [{"text": {"text": text}}]}),
        read: bedrock,
    },
    Format {
        path: "/guardrail/test/version/1/apply",
        ask: |text| json!({"source": "OUTPUT", "content": [{"text": {"text": text, "qualifiers": ["guard_content"]}}]}),
        read: bedrock,
    },
    Format {
        path: "/v1/checks",
        ask: |text| json!({"model": "m", "messages": [{"role": "user", "content": text}]}),
        read: nemo,
    },
    Format {
        path: "/v1/checks",
        ask: |text| {
            let messages = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": text}]);
            json!({"model": "m", "messages": messages, "guardrails": {"config_id": "test", "rail_types": ["output"]}})
        },
        read: nemo,
    },
];

fn messages(text: &str) -> Value {
    json!({"body": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}})
}

fn choices(text: &str) -> Value {
    json!({"body": {"choices": [{"message": {"role": "assistant", "content": text}}]}})
}

fn litellm(answer: &Value) -> Said {
    match answer["action"].as_str() {
        Some("NONE") => Said::Passed,
        Some("BLOCKED") if answer["blocked_reason"].as_str().is_some_and(|reason| reason.len() > 20) => {
            Said::Stopped
        }
        Some("GUARDRAIL_INTERVENED") => Said::Masked(answer["texts"][0].as_str().unwrap().to_owned()),
        _ => panic!("{answer}"),
    }
}

/// As agentgateway reads it: what is no complete mask and no complete rejection passes.
fn agentgateway(answer: &Value) -> Said {
    let action = &answer["action"];
    assert!(action.is_object(), "{answer}");
    match (&action["body"], action["status_code"].as_u64()) {
        (Value::String(_), Some(400..)) => Said::Stopped,
        (Value::Object(body), None) => {
            let said = body.get("messages").map(|messages| &messages[1]["content"]);
            let said = said.unwrap_or_else(|| &body["choices"][0]["message"]["content"]);
            Said::Masked(said.as_str().unwrap().to_owned())
        }
        (Value::Null, None) => Said::Passed,
        _ => panic!("{answer}"),
    }
}

fn detections(answer: &Value) -> Said {
    if answer["code"] == 503 && answer["message"].is_string() {
        return Said::Failed;
    }
    let found = answer.as_array().unwrap();
    let of = |kind: &str| found.iter().find(|detection| detection["detection_type"] == kind);
    assert!(found.iter().all(|detection| detection["score"] == 1.0), "{answer}");
    match (of("hazard"), of("pii")) {
        (Some(hazard), _) if hazard["detection"] == "cyber" => Said::Stopped,
        // The orchestrator masks by itself.
        (None, Some(pii)) if pii["detection"] == "credit_card" => Said::Masked(MASKED.to_owned()),
        (None, None) => Said::Passed,
        _ => panic!("{answer}"),
    }
}

fn bedrock(answer: &Value) -> Said {
    let output = answer["outputs"][0]["text"].as_str().unwrap_or_default().to_owned();
    let assessments = answer["assessments"].to_string();
    match (answer["action"].as_str().unwrap(), assessments.contains("BLOCKED")) {
        ("NONE", false) if answer["outputs"] == json!([]) => Said::Passed,
        ("GUARDRAIL_INTERVENED", true) if output.len() > 20 => Said::Stopped,
        ("GUARDRAIL_INTERVENED", false) if assessments.contains("ANONYMIZED") => Said::Masked(output),
        _ => panic!("{answer}"),
    }
}

fn nemo(answer: &Value) -> Said {
    let content = answer["content"].as_str().unwrap().to_owned();
    match (answer["status"].as_str().unwrap(), answer.get("rail").and_then(Value::as_str)) {
        ("passed", None) => Said::Passed,
        ("modified", None) => Said::Masked(content),
        ("blocked", Some(_)) if content.len() > 20 => Said::Stopped,
        _ => panic!("{answer}"),
    }
}

/// Asks in every format about this text.
async fn in_every_format(app: &TestApp, text: &str, verdict: &str, said: impl Fn(&Format) -> Said) {
    for format in &FORMATS {
        let reply = send(app, format.path, &(format.ask)(text)).await;
        assert_eq!((format.read)(&reply.json()), said(format), "{}: {}", format.path, reply.text);
        assert_eq!(reply.header("x-demur-verdict"), verdict, "{}", format.path);
        assert!(reply.header("x-demur-policy").starts_with("test@"), "{}", format.path);
    }
}

#[tokio::test]
async fn a_harmless_text_passes() {
    let (app, _policy) = before(|_| ()).await;
    in_every_format(&app, "What is the capital of France?", "allow", |_| Said::Passed).await;
}

#[tokio::test]
async fn what_a_rule_refuses_is_stopped() {
    let (app, _policy) = before(|_| ()).await;
    in_every_format(&app, "Tell me about zork.", "refuse", |_| Said::Stopped).await;
}

#[tokio::test]
async fn what_a_rule_takes_out_comes_back_masked() {
    let (app, _policy) = before(|_| ()).await;
    in_every_format(&app, CARD, "redact", |_| Said::Masked(MASKED.to_owned())).await;
}

#[tokio::test]
async fn a_guard_that_cant_judge_stops_the_text_whatever_the_caller_does_on_errors() {
    let (app, _policy) = asking("http://127.0.0.1:9/v1").await;
    in_every_format(&app, "What is the capital of France?", "refuse", |format| {
        if format.path.starts_with("/api/") { Said::Failed } else { Said::Stopped }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_none_is_told_so_in_the_formats_own_way() {
    let (app, _policy) = before(|_| ()).await;
    for format in &FORMATS {
        for body in ["{\"texts\": [\"my secret\"", "[]", "{}", "\"my secret\"", ""] {
            let reply = Reply::of(app.post(format.path).body(body)).await;
            let status = match format.path {
                "/beta/litellm_basic_guardrail_api" => 200,
                path if path.starts_with("/api/") || path == "/v1/checks" => 422,
                _ => 400,
            };
            assert_eq!(reply.status, status, "{} {body}: {}", format.path, reply.text);
            assert!(!reply.text.contains("secret"), "{}", reply.text);
            match format.path {
                "/beta/litellm_basic_guardrail_api" => assert_eq!(reply.json()["action"], "BLOCKED"),
                "/v1/checks" => assert!(reply.json()["detail"].is_string()),
                path if path.starts_with("/api/") => assert_eq!(reply.json()["code"], 422),
                path if path.starts_with("/guardrail/") => {
                    assert_eq!(reply.header("x-amzn-errortype"), "ValidationException");
                }
                // An object would pass for "nothing found".
                _ => assert!(serde_json::from_str::<Value>(&reply.text).is_err(), "{}", reply.text),
            }
        }
    }
    assert!(app.metric(r#"demur_rejected_total{reason="malformed"}"#).await > 0.0);
}

#[tokio::test]
async fn what_holds_no_text_is_never_passed_as_judged() {
    let (app, _policy) = before(|_| ()).await;
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let talk = json!([{"role": "user", "content": [{"type": "text", "text": "Hi"}, image]}]);
    let litellm = "/beta/litellm_basic_guardrail_api";
    for (path, body, status) in [
        (litellm, json!({"input_type": "request", "texts": ["Hi"], "images": ["aGk="]}), 200),
        (litellm, json!({"input_type": "request", "texts": ["Hi"], "structured_messages": talk}), 200),
        (litellm, json!({"input_type": "response", "texts": ["Hi"], "images": ["aGk="]}), 200),
        ("/request", json!({"body": {"messages": talk}}), 400),
        ("/api/v1/text/chat", json!({"messages": talk}), 422),
        ("/v1/checks", json!({"messages": talk}), 422),
        (
            "/guardrail/test/version/1/apply",
            json!({"source": "INPUT", "content": [{"image": {"format": "png", "source": {"bytes": "aGk="}}}]}),
            400,
        ),
    ] {
        let reply = send(&app, path, &body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
        assert!(reply.text.contains("not judged here"), "{path}: {}", reply.text);
        assert!(status != 200 || reply.json()["action"] == "BLOCKED", "{}", reply.text);
    }
}

#[tokio::test]
async fn an_answer_is_judged_beside_its_question() {
    let guard = Model::start(Script::Say("safe".into())).await;
    let (app, _policy) = asking(&guard.url).await;
    let talk =
        json!([{"role": "user", "content": "the question"}, {"role": "assistant", "content": "the answer"}]);
    for (path, body) in [
        ("/api/v1/text/generation", json!({"prompt": "the question", "generated_text": "the answer"})),
        ("/api/v1/text/chat", json!({"messages": talk})),
        ("/v1/checks", json!({"model": "m", "messages": talk, "guardrails": {"rail_types": ["output"]}})),
        (
            "/guardrail/test/version/1/apply",
            json!({"source": "OUTPUT", "content": [
                {"text": {"text": "the question", "qualifiers": ["query"]}}, {"text": {"text": "the answer"}}]}),
        ),
        (
            "/beta/litellm_basic_guardrail_api",
            json!({"input_type": "response", "texts": ["the answer"], "structured_messages": [talk[0]]}),
        ),
    ] {
        send(&app, path, &body).await;
        let judged: Vec<Value> =
            guard.bodies().iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
        let said = |body: &Value| {
            let turns = body["messages"].as_array().unwrap();
            turns.iter().map(|turn| turn["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(
            judged.iter().map(said).any(|turns| turns == ["the question", "the answer"]),
            "{path}: {judged:?}"
        );
    }
}
