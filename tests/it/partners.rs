//! The guard behind other gateways' APIs: each format with a harmless text, one that is refused, one that something is
//! taken out of, a body that is none, and a guard that can't judge.

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
        read: |answer| detections(&answer[0]),
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

#[tokio::test]
async fn litellm_texts_have_the_roles_that_the_messages_tell() {
    let (app, _policy) = before(|_| ()).await;
    let path = "/beta/litellm_basic_guardrail_api";
    // `plugh` is refused in a user's mouth alone.
    let texts = json!(["Never say plugh.", "Hi", "Hi"]);
    let talk = json!([
        {"role": "system", "content": "Never say plugh."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Hi"}]},
    ]);
    let alone = send(&app, path, &json!({"input_type": "request", "texts": texts})).await;
    assert_eq!(alone.json()["action"], "BLOCKED");
    let told = json!({"input_type": "request", "texts": texts, "structured_messages": talk});
    assert_eq!(send(&app, path, &told).await.json(), json!({"action": "NONE"}));
    // What stands in the messages and not in the texts is judged too.
    let more = json!([{"role": "user", "content": "Hi"}, {"role": "user", "content": "plugh"}]);
    let hidden = json!({"input_type": "request", "texts": ["Hi"], "structured_messages": more});
    assert_eq!(send(&app, path, &hidden).await.json()["action"], "BLOCKED");
}

#[tokio::test]
async fn litellm_gets_back_as_many_texts_and_tools_and_no_tool_call() {
    let (app, _policy) = before(|_| ()).await;
    let path = "/beta/litellm_basic_guardrail_api";
    let tools = json!([{"type": "code_interpreter"}, {"type": "function", "function": {"name": "pay", "description": CARD}}]);
    let body = json!({"input_type": "request", "texts": ["Hi", CARD, ""], "tools": tools});
    let reply = send(&app, path, &body).await.json();
    assert_eq!(
        (&reply["action"], &reply["texts"]),
        (&json!("GUARDRAIL_INTERVENED"), &json!(["Hi", MASKED, ""]))
    );
    assert_eq!(
        (&reply["tools"][0], &reply["tools"][1]["function"]["description"]),
        (&tools[0], &json!(MASKED))
    );
    for kind in ["request", "response"] {
        let call = |arguments: &str| {
            let function = json!({"name": "pay", "arguments": arguments});
            json!({"input_type": kind, "texts": [], "tool_calls": [{"id": "c", "type": "function", "function": function}]})
        };
        assert_eq!(send(&app, path, &call("{}")).await.json()["action"], "NONE");
        // It can't be carried back masked, so it is stopped.
        assert_eq!(send(&app, path, &call(CARD)).await.json()["action"], "BLOCKED");
        assert_eq!(send(&app, path, &call("zork")).await.json()["action"], "BLOCKED");
    }
}

#[tokio::test]
async fn agentgateway_keeps_its_messages_and_streams_are_rejected_instead_of_masked() {
    let (app, _policy) = before(|_| ()).await;
    let reply = send(&app, "/request", &messages(CARD)).await.json();
    let kept = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": MASKED}]);
    assert_eq!(reply["action"]["body"]["messages"], kept);
    let refused = send(&app, "/response", &choices("zork")).await.json();
    assert_eq!(
        (&refused["action"]["status_code"], &refused["action"]["reason"]),
        (&json!(403), &json!("no-zork"))
    );
    let streamed = send(&app, "/agentgateway/response/stream", &choices(CARD)).await.json();
    assert_eq!(streamed["action"]["status_code"], 403, "{streamed}");
    assert!(!streamed.to_string().contains("4111"));
    assert_eq!(
        agentgateway(&send(&app, "/agentgateway/response/stream", &choices("Paris.")).await.json()),
        Said::Passed
    );
}

#[tokio::test]
async fn fms_detections_have_their_places_in_characters() {
    let (app, _policy) = before(|_| ()).await;
    let body = json!({"contents": ["Grüße: 4111 1111 1111 1111", "", "ok", "zork"]});
    let reply = send(&app, "/api/v1/text/contents", &body).await.json();
    let found = &reply[0][0];
    assert_eq!((&found["start"], &found["end"]), (&json!(7), &json!(26)), "{reply}");
    assert_eq!(found["text"], "4111 1111 1111 1111");
    assert_eq!((&reply[1], &reply[2]), (&json!([]), &json!([])));
    assert_eq!((&reply[3][0]["start"], &reply[3][0]["end"]), (&json!(0), &json!(4)));
    // `no-plugh` is for questions.
    let ask = async |params: Value| {
        send(&app, "/api/v1/text/contents", &json!({"contents": ["plugh"], "detector_params": params}))
            .await
            .json()
    };
    assert_eq!(ask(json!({})).await[0][0]["detection"], "hate");
    assert_eq!(ask(json!({"direction": "output"})).await, json!([[]]));
    assert_eq!(ask(json!({"direction": "sideways"})).await["code"], 422);
}

#[tokio::test]
async fn health_is_told_without_a_key() {
    let keys = format!("[{{name: a, sha256: {}}}]", demur::http::keys::hash("dm-secret"));
    let (app, _policy) = before(|settings| settings.keys = Some(keys.parse().unwrap())).await;
    assert_eq!(Reply::of(app.client.get(format!("{}/health", app.url))).await.status, 200);
    for format in &FORMATS {
        assert_eq!(send(&app, format.path, &(format.ask)("Hi")).await.status, 401, "{}", format.path);
    }
    // LiteLLM's way of sending it.
    let litellm = app.post(FORMATS[0].path).header("x-api-key", "dm-secret").json(&(FORMATS[0].ask)("Hi"));
    assert_eq!(Reply::of(litellm).await.status, 200);
}

#[tokio::test]
async fn bedrock_identifiers_are_policies() {
    let (app, _policy) = before(|_| ()).await;
    let body = (FORMATS[10].ask)("Hi");
    let unknown = send(&app, "/guardrail/other/version/1/apply", &body).await;
    assert_eq!((unknown.status, unknown.header("x-amzn-errortype")), (404, "ResourceNotFoundException"));
    assert!(unknown.json()["message"].as_str().unwrap().contains("`other`; known policies: test"));
    let arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3Aguardrail%2Ftest";
    assert_eq!(send(&app, &format!("/guardrail/{arn}/version/DRAFT/apply"), &body).await.status, 200);
}

#[tokio::test]
async fn bedrock_gives_one_output_for_each_block() {
    let (app, _policy) = before(|_| ()).await;
    let block = |text: &str, qualifiers: &[&str]| json!({"text": {"text": text, "qualifiers": qualifiers}});
    let content = [block("plugh zork", &["query"]), block("Facts.", &["grounding_source"]), block(CARD, &[])];
    let body = json!({"source": "OUTPUT", "content": content});
    let reply = send(&app, "/guardrail/test/version/1/apply", &body).await.json();
    assert_eq!(reply["outputs"], json!([{"text": "plugh zork"}, {"text": "Facts."}, {"text": MASKED}]));
    let entity = &reply["assessments"][0]["sensitiveInformationPolicy"]["piiEntities"][0];
    assert_eq!(
        (&entity["type"], &entity["match"]),
        (&json!("CREDIT_DEBIT_CARD_NUMBER"), &json!("4111 1111 1111 1111"))
    );
    let covered = &reply["guardrailCoverage"]["textCharacters"];
    assert_eq!(covered, &json!({"guarded": CARD.len(), "total": CARD.len() + 16}));
    // On the way in, every block is judged, whatever it is called.
    let body = json!({"source": "INPUT", "content": content});
    let reply = send(&app, "/guardrail/test/version/1/apply", &body).await.json();
    assert_eq!(reply["assessments"][0]["topicPolicy"]["topics"][0]["name"], "no-zork");
}

#[tokio::test]
async fn nemo_rails_are_chosen_as_asked_or_by_who_speaks() {
    let (app, _policy) = before(|_| ()).await;
    let check = async |messages: Value, guardrails: Value| {
        let body = json!({"model": "m", "messages": messages, "guardrails": guardrails});
        send(&app, "/v1/checks", &body).await
    };
    let says = |role: &str, text: &str| json!({"role": role, "content": text});
    let talk = json!([says("user", "zork?"), says("assistant", "A game.")]);
    let both = check(talk.clone(), json!({})).await.json();
    assert_eq!((&both["status"], &both["rail"]), (&json!("blocked"), &json!("no-zork")));
    let output = check(talk.clone(), json!({"rail_types": ["output"]})).await.json();
    assert_eq!(output, json!({"status": "passed", "content": "A game."}));
    let question =
        check(json!([says("user", "Hi"), says("context", "")]), json!({"rail_types": ["output"]})).await;
    assert_eq!(question.status, 422);
    assert_eq!(check(talk.clone(), json!({"rail_types": ["dialog"]})).await.status, 422);
    assert_eq!(check(talk, json!({"config_id": "other"})).await.status, 422);
    // Context variables are read by the model as well.
    let context = check(json!([says("user", "Hi")]), json!({"context": {"chunks": ["zork"]}})).await.json();
    assert_eq!(context["status"], "blocked");
    // The card stands in a message that does not come back.
    let earlier = json!([says("user", CARD), says("assistant", "Thanks."), says("user", "Hi")]);
    assert_eq!(check(earlier, json!({})).await.json()["rail"], "cards");
    let configs = Reply::of(app.client.get(format!("{}/v1/rails/configs", app.url))).await;
    assert_eq!(configs.json(), json!([{"id": "test"}]));
}
