//! The answers that most upstreams give most of the time, read without a tree of JSON values for them: such a tree
//! takes a third of all the memory that a request allocates (`make bench` shows the difference).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::message::{Direction, Place, Role, Segment};

/// A chat completion whose messages hold text and nothing else that a client sees.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) choices: Vec<Choice>,
}

/// One of its choices.
#[derive(Debug, Default)]
pub(super) struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[serde(default, rename = "role")]
    _role: Any,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default, rename = "annotations")]
    _annotations: Nothing,
    #[serde(default, rename = "audio")]
    _audio: Nothing,
    #[serde(default, rename = "function_call")]
    _function_call: Nothing,
    #[serde(default, rename = "tool_calls")]
    _tool_calls: Nothing,
}

/// `null` or `[]`.
type Nothing = Option<[Any; 0]>;

impl Plain {
    /// The answer, when it is a plain one. What is read here can also be read as a tree of values.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The texts that the client sees, as those of the tree.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments = Vec::with_capacity(self.choices.len());
        for (i, Choice { message, .. }) in self.choices.iter().enumerate() {
            let texts = [
                ("content", Place::Content, &message.content),
                ("refusal", Place::Refusal, &message.refusal),
                ("reasoning_content", Place::Reasoning, &message.reasoning_content),
                ("reasoning", Place::Reasoning, &message.reasoning),
            ];
            for (key, place, text) in texts {
                if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
                    segments.push(Segment {
                        pointer: format!("/choices/{i}/message/{key}"),
                        place,
                        role: Role::Assistant,
                        direction: Direction::Output,
                        text: text.into(),
                    });
                }
            }
        }
        segments
    }
}

impl Choice {
    /// Whether the model itself declined.
    pub(super) fn is_declined(&self) -> bool {
        self.message.refusal.as_deref().is_some_and(|text| !text.is_empty())
            || self.finish_reason.as_deref() == Some("content_filter")
    }
}

/// Any value; it is looked at as closely as if it were kept, so that a number that is too large is an error.
#[derive(Debug, Default)]
struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;
        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = Any;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Any, E> {
                Ok(Any)
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Any, E> {
                Ok(Any)
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Any, E> {
                Ok(Any)
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Any, E> {
                Ok(Any)
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Any, E> {
                Ok(Any)
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<Any, E> {
                Ok(Any)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any, A::Error> {
                while items.next_element::<Any>()?.is_some() {}
                Ok(Any)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Any, A::Error> {
                while members.next_entry::<IgnoredAny, Any>()?.is_some() {}
                Ok(Any)
            }
        }
        deserializer.deserialize_any(AnyVisitor)
    }
}

/// An object of which a few members are kept. Those that stand there twice make it no plain one.
trait Members: Default {
    /// Keeps a member, or says that it is none of those to keep.
    fn keep<'de, A: MapAccess<'de>>(&mut self, key: &str, members: &mut A) -> Result<bool, A::Error>;
}

fn members<'de, T: Members, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct MembersVisitor<T>(T);
    impl<'de, T: Members> Visitor<'de> for MembersVisitor<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<T, A::Error> {
            // A key that is not written plainly is none of those to keep, or an answer to read as a tree.
            while let Some(key) = members.next_key::<&str>()? {
                if !self.0.keep(key, &mut members)? {
                    members.next_value::<Any>()?;
                }
            }
            Ok(self.0)
        }
    }
    deserializer.deserialize_map(MembersVisitor(T::default()))
}

#[derive(Default)]
struct Top(Option<Vec<Choice>>);

impl Members for Top {
    fn keep<'de, A: MapAccess<'de>>(&mut self, key: &str, members: &mut A) -> Result<bool, A::Error> {
        if key != "choices" {
            // Anything else may hold text that a client shows.
            let textless =
                ["id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"];
            return if textless.contains(&key) {
                Ok(false)
            } else {
                Err(de::Error::custom("an unknown member"))
            };
        }
        match self.0.replace(members.next_value()?) {
            None => Ok(true),
            Some(_) => Err(de::Error::duplicate_field("choices")),
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Top(choices) = members(deserializer)?;
        Ok(Self { choices: choices.ok_or_else(|| de::Error::missing_field("choices"))? })
    }
}

/// The members of a choice, none of them until it is read.
#[derive(Default)]
struct Parts(Option<Message>, Option<Option<String>>);

impl Members for Parts {
    fn keep<'de, A: MapAccess<'de>>(&mut self, key: &str, members: &mut A) -> Result<bool, A::Error> {
        let again = match key {
            "message" => self.0.replace(members.next_value()?).is_some(),
            "finish_reason" => self.1.replace(members.next_value()?).is_some(),
            "index" | "stop_reason" => return Ok(false),
            "logprobs" => {
                members.next_value::<Nothing>()?;
                return Ok(true);
            }
            _ => return Err(de::Error::custom("an unknown member")),
        };
        if again { Err(de::Error::custom("a member stands there twice")) } else { Ok(true) }
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Parts(message, finish_reason) = members(deserializer)?;
        Ok(Self { message: message.unwrap_or_default(), finish_reason: finish_reason.flatten() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_plain_answer_is_read() {
        let body = br#"{"id": "x", "usage": {"n": [1, -2.5e3, null, true]}, "choices": [{"index": 0, "logprobs": null,
            "message": {"role": "assistant", "content": "a\nb", "refusal": null, "annotations": []},
            "finish_reason": "stop"}]}"#;
        let plain = Plain::read(body).unwrap();
        let segments = plain.segments();
        assert_eq!((&*segments[0].text, &*segments[0].pointer), ("a\nb", "/choices/0/message/content"));
        assert_eq!((segments.len(), plain.choices[0].is_declined()), (1, false));
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_tree() {
        let message = |message: Value| json!({"choices": [{"message": message}]}).to_string();
        for body in [
            message(json!({"tool_calls": [{"id": "a"}]})),
            message(json!({"content": [{"type": "text", "text": "a"}]})),
            message(json!({"audio": {"transcript": "a"}})),
            message(json!({"content": "a", "something": "new"})),
            r#"{"choices": [{"message": {"content": "a"}, "message": {"content": "b"}}]}"#.to_owned(),
            r#"{"choices": [], "choices": []}"#.to_owned(),
            r#"{"choices": [{"message": {"content": "a", "content": "b"}}]}"#.to_owned(),
            r#"{"choices": [], "n": 1e999}"#.to_owned(),
            r#"{"n": 1}"#.to_owned(),
            r#"{"choices": []} x"#.to_owned(),
            "[]".to_owned(),
        ] {
            assert!(Plain::read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
