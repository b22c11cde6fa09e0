//! Images, audio, video and files in a request. No detector reads them, so they are found, and passed, refused or taken
//! out as the policy says.

use serde_json::Value;

use super::lens::every_string_below;

/// A part of a request that is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Where it stands: a JSON pointer.
    pub pointer: String,
    /// What it is.
    pub kind: Kind,
}

/// What kinds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A file of any kind.
    File,
}

impl Kind {
    /// The name used in metrics and where one was taken out.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::File => "file",
        }
    }

    /// What a content part is by its `type`, in the words of OpenAI, Anthropic and vLLM; nothing for text and for what
    /// is not known.
    pub(super) fn of(part: &Value) -> Option<Self> {
        Some(match part["type"].as_str()? {
            "image_url" | "input_image" | "image" | "image_embeds" | "computer_screenshot" => Self::Image,
            "input_audio" | "audio_url" | "audio" | "audio_embeds" => Self::Audio,
            "video_url" | "input_video" | "video" => Self::Video,
            "file" | "input_file" | "container_upload" => Self::File,
            // A document may also hold its text, or parts.
            "document" if !matches!(part["source"]["type"].as_str(), Some("text" | "content")) => Self::File,
            _ => return None,
        })
    }
}

/// Members of media that hold what is shown or heard, or say where it is and how it is written.
const PAYLOAD: [&str; 16] = [
    "type",
    "id",
    "uuid",
    "url",
    "data",
    "format",
    "detail",
    "media_type",
    "image_url",
    "image_embeds",
    "audio_url",
    "audio_embeds",
    "video_url",
    "file_data",
    "file_id",
    "file_url",
];

/// The words that stand beside the payload of media, such as the name of a file, with their pointers from there.
pub(super) fn words(part: &Value) -> impl Iterator<Item = (String, &str)> {
    every_string_below(part)
        .into_iter()
        .filter(|(at, _)| !PAYLOAD.contains(&at.rsplit('/').next().unwrap_or_default()))
}

/// Media in a list of messages, items or parts, and in what these hold as `content`, `output` or `source`. Arguments of
/// tools are the application's own and may look like anything.
pub(super) fn below(list: &Value, pointer: &str) -> Vec<Media> {
    let mut found = Vec::new();
    let mut open = vec![(list, pointer.to_owned())];
    while let Some((value, pointer)) = open.pop() {
        if let Value::Array(items) = value {
            // Most messages are texts and cost nothing here.
            let items = items.iter().enumerate().rev();
            let items = items.filter(|(_, item)| Kind::of(item).is_some() || inside(item).next().is_some());
            open.extend(items.map(|(i, item)| (item, format!("{pointer}/{i}"))));
        } else if let Some(kind) = Kind::of(value) {
            found.push(Media { pointer, kind });
        } else {
            open.extend(inside(value).map(|(key, value)| (value, format!("{pointer}/{key}"))));
        }
    }
    found
}

/// What may hold media inside a message, item or part.
fn inside(value: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    let member = |key| {
        value
            .get(key)
            .filter(|value: &&Value| value.is_array() || value.is_object())
            .map(|value| (key, value))
    };
    ["source", "output", "content"].into_iter().filter_map(member)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_are_found_however_deep_and_arguments_are_left_alone() {
        let messages = json!([
            {"role": "user", "content": "type: image"},
            {"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "u"}},
                {"type": "tool_result", "content": [{"type": "image", "source": {"type": "base64"}}]},
                {"type": "document", "source": {"type": "text", "data": "d"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}},
                {"type": "document", "source": {"type": "base64", "data": "d"}},
                {"type": "tool_use", "input": {"type": "file", "path": "p"}},
            ]},
            {"type": "function_call_output", "output": [{"type": "input_file", "file_id": "f"}]},
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "u"}},
            {"role": "user", "content": [{"type": "input_audio"}, {"type": "video_url"}]},
        ]);
        let found = below(&messages, "/m");
        let found: Vec<(&str, &str)> = found.iter().map(|m| (&*m.pointer, m.kind.as_str())).collect();
        let expected = [
            ("/m/1/content/1", "image"),
            ("/m/1/content/2/content/0", "image"),
            ("/m/1/content/4/source/content/0", "image"),
            ("/m/1/content/5", "file"),
            ("/m/2/output/0", "file"),
            ("/m/3/output", "image"),
            ("/m/4/content/0", "audio"),
            ("/m/4/content/1", "video"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn words_beside_a_payload_are_texts() {
        let part = json!({"type": "file", "file": {"filename": "n", "file_data": "AAAA"}, "title": "t", "detail": "low"});
        let words: Vec<(String, &str)> = words(&part).collect();
        assert_eq!(words, [("/file/filename".to_owned(), "n"), ("/title".to_owned(), "t")]);
    }
}
