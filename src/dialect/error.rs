//! OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`.

use serde::Serialize;
use utoipa::ToSchema;

/// The body of an error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error itself.
    pub error: ErrorObject,
}

/// What went wrong, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorObject {
    /// What was found, what was expected, what to do.
    pub message: String,
    /// The family of the error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field at fault.
    pub param: Option<String>,
    /// A stable code, such as `model_not_found`.
    pub code: Option<&'static str>,
}

impl ErrorBody {
    /// An error of this family with this wording.
    pub fn new(kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { error: ErrorObject { message: message.into(), kind, param: None, code } }
    }

    /// The same error, naming the field at fault.
    #[must_use]
    pub fn with_param(mut self, param: Option<String>) -> Self {
        self.error.param = param;
        self
    }

    /// The error as JSON bytes.
    pub fn to_bytes(&self) -> bytes::Bytes {
        serde_json::to_vec(self).expect("strings serialise").into()
    }
}
