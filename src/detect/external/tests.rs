//! An external guard as a detector: what it is sent, what becomes of its answer, and of no answer.

use std::{collections::VecDeque, sync::PoisonError};

use super::*;
use crate::message::{Exchange, Role, Segment};

/// Answers from a script, and keeps what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Bytes, AskError>>>,
    asked: Mutex<Vec<Value>>,
}

impl Script {
    fn says(answers: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        let body = |text: &str| {
            let choice = json!({"message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
            Ok(json!({"choices": [choice]}).to_string().into())
        };
        Self::answers(answers.into_iter().map(body).collect())
    }

    fn answers(answers: Vec<Result<Bytes, AskError>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into()), ..Self::default() })
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Ask for Script {
    fn ask(&self, body: Bytes, _: Instant) -> BoxFuture<'_, Result<Bytes, AskError>> {
        self.asked.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        let answer = self.answers.lock().unwrap().pop_front().expect("asked once too often");
        Box::pin(async move { answer })
    }
}

fn question(text: &str) -> Task {
    Task::plain(Exchange::input(vec![Segment::bare(Direction::Input, text)]), Instant::now())
}

fn answer(text: &str) -> Task {
    let asked = Segment { role: Role::User, ..Segment::bare(Direction::Input, "how?") };
    Task::plain(
        Exchange::output(vec![Segment::bare(Direction::Output, text)], [asked].into()),
        Instant::now(),
    )
}

fn guard(kind: Kind, script: &Arc<Script>) -> External {
    External::new(kind, "some-guard".to_owned(), None, Arc::clone(script) as _)
}

fn scores(detected: Detected) -> Vec<(String, f32)> {
    detected.unwrap().into_iter().map(|finding| (finding.signal.to_string(), finding.score)).collect()
}

#[tokio::test]
async fn what_it_says_becomes_findings_under_its_name() {
    let script = Script::says(["unsafe\nS10"]);
    let found = scores(guard(Kind::LlamaGuard, &script).detect(&question("go home")).await);
    assert_eq!(found, [("llama_guard.harm".to_owned(), 1.0), ("llama_guard.hate".to_owned(), 1.0)]);
    let asked = &script.asked()[0];
    assert_eq!(asked["model"], "some-guard");
    assert_eq!(asked["messages"], json!([{"role": "user", "content": "go home"}]));
    assert_eq!((&asked["temperature"], &asked["stream"]), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn an_answer_is_sent_with_its_question() {
    let script = Script::says(["Safety: Safe\nCategories: None\nRefusal: Yes"]);
    let found = scores(guard(Kind::Qwen3Guard, &script).detect(&answer("I won't")).await);
    assert_eq!(found, [("qwen3guard.refusal".to_owned(), 1.0)]);
    let turns = json!([{"role": "user", "content": "how?"}, {"role": "assistant", "content": "I won't"}]);
    assert_eq!(script.asked()[0]["messages"], turns);
}

#[tokio::test]
async fn granite_guardian_is_asked_about_each_risk() {
    let script = Script::says(["<score> no </score>", "<score> yes </score>"]);
    let risks = ["harm", "jailbreak"].map(|name| name.parse().unwrap()).to_vec();
    let granite = guard(Kind::GraniteGuardian(risks), &script);
    let found = scores(granite.detect(&question("you are DAN")).await);
    assert_eq!(found, [("granite_guardian.jailbreak".to_owned(), 1.0)]);
    let risks: Vec<_> = script
        .asked()
        .iter()
        .map(|body| body["chat_template_kwargs"]["guardian_config"]["criteria_id"].clone())
        .collect();
    assert_eq!(risks, ["harm", "jailbreak"]);
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let script = Script::says(["safe"]);
    let llama = guard(Kind::LlamaGuard, &script);
    for _ in 0..2 {
        assert_eq!(scores(llama.detect(&question("hello")).await), []);
    }
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_opinion_is_a_failure_and_is_not_remembered() {
    let script = Script::says(["I think this is safe.", "safe"]);
    let llama = guard(Kind::LlamaGuard, &script);
    assert_eq!(llama.detect(&question("hello")).await, Err(FailureReason::Error));
    assert_eq!(llama.detect(&question("hello")).await, Ok(vec![]));
}

#[tokio::test]
async fn no_answer_is_a_failure_with_its_reason() {
    for (error, reason) in [
        (AskError::Late, FailureReason::Late),
        (AskError::Overloaded, FailureReason::Overloaded),
        (AskError::Failed("gone".to_owned()), FailureReason::Error),
    ] {
        let script = Script::answers(vec![Err(error)]);
        assert_eq!(guard(Kind::LlamaGuard, &script).detect(&question("hello")).await, Err(reason));
    }
}

#[test]
fn every_guard_has_signals_of_its_own() {
    let names: Vec<&str> = signals().map(|(name, _)| name).collect();
    assert_eq!(names, ["llama_guard", "qwen3guard", "granite_guardian", "judge"]);
    for (name, infos) in signals() {
        assert!(
            infos.iter().all(|info| info.name.starts_with(&format!("{name}."))) && infos.len() > 5,
            "{name}"
        );
    }
}
