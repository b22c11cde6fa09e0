//! Token log-probabilities: another way to spell a text.

use serde_json::Value;

use super::super::lens::every_string_below;

/// Members that are looked at by name.
const KNOWN: [&str; 4] = ["content", "refusal", "tokens", "top_logprobs"];

/// What the log-probabilities of a choice spell beside `said`: the tokens, unless they are those of the text, the
/// alternatives to each, and whatever else stands there. Both forms are read: objects in `content` and `refusal`, and
/// the older lists `tokens` and `top_logprobs`.
pub(in super::super) fn spelled(logprobs: &Value, said: &str) -> String {
    let mut tokens = String::new();
    let mut others: Vec<&str> = Vec::new();
    let list = |key: &str| logprobs[key].as_array().into_iter().flatten();
    for token in ["content", "refusal"].into_iter().flat_map(list) {
        let own = token["token"].as_str().unwrap_or_default();
        tokens.push_str(own);
        let tops = token["top_logprobs"].as_array().into_iter().flatten();
        others.extend(tops.filter_map(|top| top["token"].as_str()).filter(|top| *top != own));
    }
    tokens.extend(list("tokens").filter_map(Value::as_str));
    for (i, top) in list("top_logprobs").enumerate() {
        let own = logprobs["tokens"].get(i).and_then(Value::as_str);
        let tops = top.as_object().into_iter().flat_map(|top| top.keys().map(String::as_str));
        others.extend(tops.filter(|top| Some(*top) != own));
    }
    for (_, value) in logprobs.as_object().into_iter().flatten().filter(|(key, _)| !KNOWN.contains(&&***key))
    {
        others.extend(every_string_below(value).into_iter().map(|(_, text)| text));
    }
    let mut spelled = if tokens == said { String::new() } else { tokens };
    for other in others {
        if !spelled.is_empty() {
            spelled.push(' ');
        }
        spelled.push_str(other.trim());
    }
    spelled
}
