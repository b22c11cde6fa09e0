//! What each of those formats has of its own.

use serde_json::{Value, json};

use super::{CARD, FORMATS, MASKED, Said, agentgateway, before, choices, messages, send};
use crate::support::Reply;

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
    // On the way in every block is judged, the query as the user's words.
    let body = json!({"source": "INPUT", "content": content});
    let reply = send(&app, "/guardrail/test/version/1/apply", &body).await.json();
    let topics = reply["assessments"][0]["topicPolicy"]["topics"].as_array().unwrap();
    let names: Vec<&Value> = topics.iter().map(|topic| &topic["name"]).collect();
    assert_eq!(names, ["no-plugh", "no-zork"]);
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
