//! A chat completion request: OpenAI's fields, and those that vLLM added (`top_k`, `min_p`,
//! `repetition_penalty`). Fields that are not known here are ignored.

use serde_json::Value;

use super::{
    LocalConfig,
    fields::{Fields, invalid, number, wrong},
};
use crate::{
    nn::{chat::ChatModel, sample::Sampling, stop::MAX_STOP_BYTES, template::ChatMessage, worker::Job},
    upstream::UpstreamError,
};

/// The most stop strings, log-probabilities a token and biased tokens.
const MAX_STOPS: usize = 16;
const MAX_TOP_LOGPROBS: i64 = 20;
const MAX_BIASES: usize = 1024;

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Request {
    messages: Vec<ChatMessage>,
    choices: usize,
    max_tokens: usize,
    stop: Vec<String>,
    sampling: Sampling,
    top_logprobs: Option<usize>,
    /// Whether a stream ends with the counts of tokens.
    pub(super) include_usage: bool,
}

impl Request {
    /// Reads a body.
    pub(super) fn parse(body: &[u8], config: &LocalConfig) -> Result<Self, UpstreamError> {
        let body: Value = serde_json::from_slice(body).map_err(|error| UpstreamError::Invalid {
            param: None,
            message: format!("the body is not JSON: {error}"),
        })?;
        let fields = Fields::of(&body, "the body")?;
        refuse_what_it_cannot_do(fields)?;
        let messages = fields.get("messages").unwrap_or(&Value::Null);
        let messages = match messages.as_array() {
            Some(messages) if !messages.is_empty() => messages,
            _ => return Err(wrong("messages", "an array with at least one message", messages)),
        };
        let limit = fields.integer("max_completion_tokens", 1..=i64::MAX)?;
        let limit = limit.or(fields.integer("max_tokens", 1..=i64::MAX)?);
        let stream_options = fields.get("stream_options").map(|value| Fields::of(value, "stream_options"));
        let include_usage = stream_options.transpose()?.map(|options| options.flag("include_usage"));
        Ok(Self {
            messages: messages
                .iter()
                .enumerate()
                .map(|(i, value)| message(i, value))
                .collect::<Result<_, _>>()?,
            choices: fields.integer("n", 1..=size(config.slots))?.map_or(1, count),
            max_tokens: limit.map_or(config.max_tokens, count),
            stop: stops(fields)?,
            sampling: sampling(fields, config)?,
            top_logprobs: top_logprobs(fields)?,
            include_usage: include_usage.transpose()?.unwrap_or(false),
        })
    }

    /// The job for the model.
    pub(super) fn job(&self, model: &ChatModel, config: &LocalConfig) -> Result<Job, UpstreamError> {
        let prompt = model.template.encode(&self.messages, &model.tokenizer);
        let prompt = prompt.map_err(|error| {
            invalid("messages", format!("`{}` can't take these messages: {error:#}", config.name))
        })?;
        let context = model.llama.context();
        if prompt.len() >= context {
            let message = format!(
                "the context of `{}` is {context} tokens; the messages have {}, which leaves no room for an \
                 answer; please shorten them",
                config.name,
                prompt.len()
            );
            return Err(invalid("messages", message));
        }
        Ok(Job {
            prompt,
            choices: self.choices,
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            sampling: self.sampling.clone(),
            top_logprobs: self.top_logprobs,
        })
    }
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that was checked to be at least zero.
fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What would silently be left out, and that a program may rely on.
fn refuse_what_it_cannot_do(fields: Fields<'_>) -> Result<(), UpstreamError> {
    if let Some(format) = fields.get("response_format") {
        let kind = Fields::of(format, "response_format")?.text("type", "response_format.type")?;
        if kind != Some("text") {
            let message = "the model inside writes text only; leave `response_format` out, or name an upstream \
                           that has structured output";
            return Err(invalid("response_format", message));
        }
    }
    if let Some(choice) = fields.get("tool_choice")
        && choice != "none"
        && choice != "auto"
    {
        let message = "the model inside can't call tools, so a call can't be required; `tool_choice` must be \
                       `auto` or `none`";
        return Err(invalid("tool_choice", message));
    }
    Ok(())
}

/// One message as the template sees it. Models of this size know three roles: developers speak as the system,
/// and what a tool answered comes as words of the user.
fn message(i: usize, value: &Value) -> Result<ChatMessage, UpstreamError> {
    let param = |field: &str| format!("messages[{i}].{field}");
    let fields = Fields::of(value, &format!("messages[{i}]"))?;
    let role = fields.text("role", &param("role"))?.unwrap_or_default();
    let mut content = content(&param("content"), fields.get("content"))?;
    let role = match role {
        "system" | "developer" => "system",
        "user" => "user",
        "assistant" => {
            content.extend(calls(&param("tool_calls"), fields)?);
            "assistant"
        }
        "tool" | "function" => {
            content.insert(0, "The tool answered:".to_owned());
            "user"
        }
        _ => {
            let message = "must be `system`, `developer`, `user`, `assistant` or `tool`";
            return Err(invalid(&param("role"), format!("`{}` {message}", param("role"))));
        }
    };
    Ok(ChatMessage { role, content: content.join("\n") })
}

/// The texts of a content: a string, or an array of parts.
fn content(param: &str, value: Option<&Value>) -> Result<Vec<String>, UpstreamError> {
    let parts = match value {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(vec![text.clone()]),
        Some(Value::Array(parts)) => parts,
        Some(value) => return Err(wrong(param, "a string or an array of parts", value)),
    };
    let mut texts = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        let param = format!("{param}[{i}]");
        let fields = Fields::of(part, &param)?;
        let text = match fields.text("type", &format!("{param}.type"))? {
            Some("text") => fields.text("text", &format!("{param}.text"))?,
            Some("refusal") => fields.text("refusal", &format!("{param}.refusal"))?,
            _ => {
                return Err(invalid(
                    &param,
                    format!("the model inside reads text only; `{param}` is no text"),
                ));
            }
        };
        texts.push(text.unwrap_or_default().to_owned());
    }
    Ok(texts)
}

/// What an assistant's earlier tool calls look like in words.
fn calls(param: &str, fields: Fields<'_>) -> Result<Vec<String>, UpstreamError> {
    let Some(value) = fields.get("tool_calls") else { return Ok(Vec::new()) };
    let calls = value.as_array().ok_or_else(|| wrong(param, "an array", value))?;
    calls
        .iter()
        .enumerate()
        .map(|(i, call)| {
            let param = format!("{param}[{i}]");
            let call = Fields::of(call, &param)?;
            let function =
                Fields::of(call.get("function").unwrap_or(&Value::Null), &format!("{param}.function"))?;
            let name = function.text("name", &format!("{param}.function.name"))?.unwrap_or_default();
            let arguments = function.text("arguments", &format!("{param}.function.arguments"))?;
            Ok(format!("I called the tool {name} with {}.", arguments.unwrap_or("nothing")))
        })
        .collect()
}

fn stops(fields: Fields<'_>) -> Result<Vec<String>, UpstreamError> {
    let expected = format!("a string or at most {MAX_STOPS} of them, each of 1 to {MAX_STOP_BYTES} bytes");
    let Some(value) = fields.get("stop") else { return Ok(Vec::new()) };
    let stops = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(stops) if stops.len() <= MAX_STOPS => stops,
        _ => return Err(wrong("stop", expected, value)),
    };
    stops
        .iter()
        .map(|stop| match stop.as_str() {
            Some(text) if (1..=MAX_STOP_BYTES).contains(&text.len()) => Ok(text.to_owned()),
            _ => Err(wrong("stop", &expected, stop)),
        })
        .collect()
}

fn sampling(fields: Fields<'_>, config: &LocalConfig) -> Result<Sampling, UpstreamError> {
    let number = |name, range| Ok(fields.number(name, range)?.map(|number| number as f32));
    // vLLM writes -1 for all tokens.
    let top_k = fields.integer("top_k", -1..=i64::MAX)?.map_or(0, |top_k| count(top_k.max(0)));
    let seed = fields.integer("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned);
    Ok(Sampling {
        temperature: number("temperature", 0. ..=2.)?.unwrap_or(config.temperature),
        top_p: number("top_p", 0. ..=1.)?.unwrap_or(config.top_p),
        top_k,
        min_p: number("min_p", 0. ..=1.)?.unwrap_or(0.),
        frequency_penalty: number("frequency_penalty", -2. ..=2.)?.unwrap_or(0.),
        presence_penalty: number("presence_penalty", -2. ..=2.)?.unwrap_or(0.),
        repetition_penalty: number("repetition_penalty", 0.01..=10.)?.unwrap_or(1.),
        logit_bias: biases(fields)?,
        seed: seed.unwrap_or_else(rand::random),
    })
}

fn biases(fields: Fields<'_>) -> Result<Vec<(u32, f32)>, UpstreamError> {
    let Some(value) = fields.get("logit_bias") else { return Ok(Vec::new()) };
    let expected = format!("an object of at most {MAX_BIASES} token ids");
    let biases = value.as_object().filter(|biases| biases.len() <= MAX_BIASES);
    let biases = biases.ok_or_else(|| wrong("logit_bias", expected, value))?;
    biases
        .iter()
        .map(|(token, bias)| {
            let token = token.parse();
            let token =
                token.map_err(|_| invalid("logit_bias", "the keys of `logit_bias` must be token ids"))?;
            Ok((token, number("logit_bias", bias, -100. ..=100.)? as f32))
        })
        .collect()
}

fn top_logprobs(fields: Fields<'_>) -> Result<Option<usize>, UpstreamError> {
    let top = fields.integer("top_logprobs", 0..=MAX_TOP_LOGPROBS)?.map(count);
    match (fields.flag("logprobs")?, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(invalid("top_logprobs", "`top_logprobs` needs `logprobs` to be true")),
    }
}
