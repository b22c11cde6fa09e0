//! Segments and exchanges: the pieces of text that a guard judges, free of any wire format.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Who speaks in a segment, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator's instructions.
    System,
    /// The application developer's instructions (OpenAI's newer name for `system`).
    Developer,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
    /// A tool or function whose result is handed to the model.
    Tool,
}

impl Role {
    /// All roles, for documentation and for checking policies.
    pub const ALL: [Self; 5] = [Self::System, Self::Developer, Self::User, Self::Assistant, Self::Tool];

    /// The name used on the wire and in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// Which way a text travels: to the model or to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the model.
    Input,
    /// From the model to the client.
    Output,
}

impl Direction {
    /// Both directions, in the order of a request.
    pub const ALL: [Self; 2] = [Self::Input, Self::Output];

    /// The name used in policies, metrics and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of field a segment comes from; policies see it as `place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The words of a message.
    Content,
    /// A participant's name.
    Name,
    /// A tool's name, description or parameter schema.
    ToolDefinition,
    /// The name or arguments of a tool call that the model makes.
    ToolCall,
    /// What a tool answered.
    ToolResult,
    /// A document handed along with the question.
    Document,
    /// The model's visible reasoning.
    Reasoning,
    /// The model's own refusal.
    Refusal,
    /// Any other text that reaches the model or the client.
    Other,
}

impl Place {
    /// All places, for documentation and for checking policies.
    pub const ALL: [Self; 9] = [
        Self::Content,
        Self::Name,
        Self::ToolDefinition,
        Self::ToolCall,
        Self::ToolResult,
        Self::Document,
        Self::Reasoning,
        Self::Refusal,
        Self::Other,
    ];

    /// Where the words of a role stand when nothing else is said.
    pub fn of(role: Role) -> Self {
        if role == Role::Tool { Self::ToolResult } else { Self::Content }
    }

    /// The name used in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Name => "name",
            Self::ToolDefinition => "tool_definition",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Document => "document",
            Self::Reasoning => "reasoning",
            Self::Refusal => "refusal",
            Self::Other => "other",
        }
    }
}

/// One piece of text with its place in the body, its role and its direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the text stands in the body: a JSON pointer (RFC 6901); empty for a bare text.
    pub pointer: String,
    /// The kind of field.
    pub place: Place,
    /// Who speaks.
    pub role: Role,
    /// Which way it travels.
    pub direction: Direction,
    /// The text itself.
    pub text: Arc<str>,
}

impl Segment {
    /// Whether its text can be replaced. The names of members that somebody chose stand at an element that does not exist
    /// (`-` in RFC 6901): they can be refused, not taken out.
    pub fn is_writable(&self) -> bool {
        !self.pointer.ends_with("/-")
    }

    /// A bare text: a user's words on input, a model's on output.
    pub fn bare(direction: Direction, text: impl Into<Arc<str>>) -> Self {
        let role = match direction {
            Direction::Input => Role::User,
            Direction::Output => Role::Assistant,
        };
        Self { pointer: String::new(), place: Place::Content, role, direction, text: text.into() }
    }
}

/// What is judged at once: the segments of one direction, together with what they answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The direction of `segments`.
    pub direction: Direction,
    /// The texts to judge.
    pub segments: Arc<[Segment]>,
    /// For an answer, the question's segments; empty on input.
    pub context: Arc<[Segment]>,
    /// The name of the caller's API key, when it has one.
    pub caller: Option<Arc<str>>,
    /// Images, audio and files beside the texts: they are counted, nobody judges them.
    pub media: usize,
}

impl Exchange {
    /// The segments that go to the model.
    pub fn input(segments: Vec<Segment>) -> Self {
        Self {
            direction: Direction::Input,
            segments: segments.into(),
            context: Arc::from([]),
            caller: None,
            media: 0,
        }
    }

    /// The segments of an answer, beside the question they answer.
    pub fn output(segments: Vec<Segment>, context: Arc<[Segment]>) -> Self {
        Self { direction: Direction::Output, segments: segments.into(), context, caller: None, media: 0 }
    }

    /// The same, on behalf of the caller whose API key has this name.
    #[must_use]
    pub fn by(self, caller: Option<Arc<str>>) -> Self {
        Self { caller, ..self }
    }

    /// The same beside so many images, audio and files.
    #[must_use]
    pub fn with_media(self, media: usize) -> Self {
        Self { media, ..self }
    }

    /// The user's last words: from the segments themselves on input, from the context on output.
    pub fn last_user_text(&self) -> Option<&str> {
        let of = |segments: &'_ [Segment]| {
            segments.iter().rposition(|s| s.role == Role::User && s.place == Place::Content)
        };
        match of(&self.segments) {
            Some(i) => Some(&self.segments[i].text),
            None => of(&self.context).map(|i| &*self.context[i].text),
        }
    }
}
