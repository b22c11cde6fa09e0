//! OpenAI's embeddings (`POST /v1/embeddings`): texts in, numbers out. Only the question can be judged.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Asked, BadBody, Dialect, Lens, Refusal,
    error::ErrorBody,
    media::Media,
    request::{model, texts},
    stream::{NoStream, Reader},
};
use crate::message::{Place, Role};

/// OpenAI's embeddings.
pub static EMBEDDINGS: Embeddings = Embeddings;

/// See [`EMBEDDINGS`].
pub struct Embeddings;

/// Members that no model reads as text.
const NO_TEXT: [&str; 4] = ["model", "input", "encoding_format", "user"];

impl Dialect for Embeddings {
    fn name(&self) -> &'static str {
        "embeddings"
    }

    fn path(&self) -> &'static str {
        "/embeddings"
    }

    fn read(&self, body: &Value) -> Result<Asked, BadBody> {
        let model = model(body)?;
        match body.get("input") {
            None | Some(Value::Null) => {
                return Err(BadBody::at("input", "missing required parameter: `input`"));
            }
            Some(input) => texts("input", input)?,
        };
        Ok(Asked { model, stream: false, include_usage: false, n: 1, wants_moderation: false })
    }

    fn question(&self, body: &Value, lens: &mut Lens) {
        lens.every_string(&body["input"], "/input", Role::User, Place::Content);
        // Instructions, and whatever else a server knows.
        for (key, value) in body.as_object().into_iter().flatten() {
            if !NO_TEXT.contains(&key.as_str()) {
                lens.every_string(value, &format!("/{key}"), Role::Developer, Place::Other);
            }
        }
    }

    /// Inputs are texts.
    fn media(&self, _body: &Value) -> Vec<Media> {
        Vec::new()
    }

    fn text_part(&self, text: &str) -> Value {
        text.into()
    }

    /// Nobody follows guidance here: the numbers would be those of another text.
    fn guide(&self, _body: &mut Value, _text: &str) {}

    fn answers(&self) -> bool {
        false
    }

    fn check(&self, _answer: &Value) -> Result<(), String> {
        Ok(())
    }

    fn answer(&self, _answer: &Value, _lens: &mut Lens) {}

    fn visible(&self, _answer: &Value) -> Vec<String> {
        Vec::new()
    }

    fn declined(&self, _answer: &Value) -> bool {
        false
    }

    /// An error: there are no numbers that decline.
    fn refusal(&self, refusal: &Refusal<'_>) -> Value {
        let error = ErrorBody::new("invalid_request_error", Some("content_filter"), refusal.text);
        json!(error.with_param(Some("input".to_owned())))
    }

    fn events(&self, _answer: &Value, _asked: &Asked) -> Vec<Bytes> {
        Vec::new()
    }

    fn reader(&self, _asked: &Asked) -> Box<dyn Reader> {
        Box::new(NoStream)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Request, *};

    fn request(body: &Value) -> Result<Request, BadBody> {
        Request::parse(&EMBEDDINGS, Bytes::from(body.to_string()))
    }

    #[test]
    fn every_text_is_a_segment_and_can_be_written_back() {
        let body = json!({"model": "m", "input": ["a", "", "b"], "instruction": "c", "encoding_format": "float", "user": "u"});
        let mut request = request(&body).unwrap();
        let pointers: Vec<String> = request.segments().into_iter().map(|segment| segment.pointer).collect();
        assert_eq!(pointers, ["/input/0", "/input/2", "/instruction"]);
        for segment in request.segments() {
            request.replace(&segment.pointer, format!("<{}>", segment.text));
        }
        let json: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
        assert_eq!((&json["input"], &json["instruction"]), (&json!(["<a>", "", "<b>"]), &json!("<c>")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (input, message) in [
            (Value::Null, "missing required parameter"),
            (json!([]), "is empty"),
            (json!(7), "a number"),
            (json!([1, 2]), "holds tokens"),
            (json!([[1, 2], [3]]), "holds tokens"),
            (json!(["a", 1]), "holds tokens"),
            (json!(["a", {"image": "x"}]), "wrong type for `input[1]`: expected a string, found an object"),
        ] {
            let error = request(&json!({"model": "m", "input": input})).unwrap_err();
            assert!(error.message.contains(message), "{input}: {error}");
            assert!(error.param.unwrap().starts_with("input"));
        }
        assert_eq!(request(&json!({"input": "a"})).unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn a_stream_is_an_error() {
        let asked = request(&json!({"model": "m", "input": "a"})).unwrap().asked().clone();
        let event = [Bytes::from_static(b"data: {}\n\n")];
        let error =
            super::super::stream::testing::follow(&mut *EMBEDDINGS.reader(&asked), &event).unwrap_err();
        assert!(error.contains("no streams"), "{error}");
    }
}
