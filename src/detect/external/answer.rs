//! Reads what a model behind an upstream answered. Whatever is not a whole, plain answer is none: it must never
//! pass for "safe".

use serde::Deserialize;
use serde_json::Value;

/// Why an answer can't be used. It quotes nothing: answers of guards repeat what they judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no chat completion with one choice")]
    NoCompletion,
    #[error("it did not come to its own end (`finish_reason` is not `stop`)")]
    NotFinished,
    #[error("it is a refusal or a tool call")]
    NoText,
    #[error("it is empty")]
    Empty,
    #[error("it is not of the guard's format")]
    Format,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Value>,
    #[serde(default)]
    refusal: Option<Value>,
    #[serde(default)]
    tool_calls: Option<Value>,
}

/// The text of a chat completion, without space around it.
pub(super) fn text(body: &[u8]) -> Result<String, Unusable> {
    let completion: Completion = serde_json::from_slice(body).map_err(|_| Unusable::NoCompletion)?;
    let Ok([choice]) = <[Choice; 1]>::try_from(completion.choices) else {
        return Err(Unusable::NoCompletion);
    };
    let says_something = |value: &Option<Value>| match value {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    if says_something(&choice.message.refusal) || says_something(&choice.message.tool_calls) {
        return Err(Unusable::NoText);
    }
    if choice.finish_reason.as_deref() != Some("stop") {
        return Err(Unusable::NotFinished);
    }
    match choice.message.content {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(Value::String(_) | Value::Null) | None => Err(Unusable::Empty),
        Some(_) => Err(Unusable::NoText),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(choice: &Value) -> Result<String, Unusable> {
        text(json!({"choices": [choice]}).to_string().as_bytes())
    }

    #[test]
    fn a_whole_answer_is_read() {
        let answer = json!({"message": {"role": "assistant", "content": "\n\nsafe\n", "refusal": null,
            "tool_calls": []}, "finish_reason": "stop", "index": 0});
        assert_eq!(read(&answer).unwrap(), "safe");
    }

    #[test]
    fn anything_else_is_none() {
        let message = json!({"content": "safe"});
        for (choice, why) in [
            (json!({"message": message, "finish_reason": "length"}), Unusable::NotFinished),
            (json!({"message": message, "finish_reason": "content_filter"}), Unusable::NotFinished),
            (json!({"message": message}), Unusable::NotFinished),
            (
                json!({"message": {"content": "safe", "refusal": "no"}, "finish_reason": "stop"}),
                Unusable::NoText,
            ),
            (
                json!({"message": {"content": "safe", "tool_calls": [{}]}, "finish_reason": "stop"}),
                Unusable::NoText,
            ),
            (json!({"message": {"content": ["safe"]}, "finish_reason": "stop"}), Unusable::NoText),
            (json!({"message": {"content": null}, "finish_reason": "stop"}), Unusable::Empty),
            (json!({"message": {"content": " \n"}, "finish_reason": "stop"}), Unusable::Empty),
            (json!({"finish_reason": "stop"}), Unusable::NoCompletion),
        ] {
            assert_eq!(read(&choice).unwrap_err(), why, "{choice}");
        }
        for body in ["", "safe", "[]", "{}", r#"{"choices": []}"#, r#"{"error": {"message": "safe"}}"#] {
            assert_eq!(text(body.as_bytes()).unwrap_err(), Unusable::NoCompletion, "{body}");
        }
        let twice = json!({"message": {"content": "safe"}, "finish_reason": "stop"});
        let two = json!({"choices": [twice, twice]}).to_string();
        assert_eq!(text(two.as_bytes()).unwrap_err(), Unusable::NoCompletion);
    }
}
