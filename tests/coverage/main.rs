//! The proof of coverage: a marker is planted in every text field of the vendors' schemas, one at a time, and a dialect
//! must judge it, or say in its table (`src/dialect/fields`) why not. `make.py` beside this makes the lists of fields.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod schema;
mod table;

use bytes::Bytes;
use demur::{
    dialect::{
        Answer, Asked, Dialect as Lens, Request,
        chat::CHAT as CHAT_LENS,
        completions::COMPLETIONS,
        embeddings::EMBEDDINGS,
        messages::{COUNT_TOKENS, MESSAGES},
        responses::RESPONSES,
        sse,
    },
    message::{Direction, Role, Segment},
};
use wildmatch::WildMatch;

use crate::{
    schema::{Field, MARKER, Schema},
    table::{Table, Treatment},
};

/// What a dialect lists of a body or of a stream, or why it does not take it.
type Segments = Result<Vec<Segment>, String>;

/// A dialect, with the vendor's fields and our table.
struct Dialect {
    lens: &'static dyn Lens,
    schema: &'static str,
    table: &'static str,
}

macro_rules! dialect {
    ($lens:expr, $name:literal) => {
        Dialect {
            lens: $lens,
            schema: include_str!(concat!($name, ".json")),
            table: include_str!(concat!("../../src/dialect/fields/", $name, ".yaml")),
        }
    };
}

const CHAT: Dialect = dialect!(&CHAT_LENS, "chat");

#[test]
fn every_text_of_messages_is_judged_or_listed() {
    dialect!(&MESSAGES, "messages").assert_covered();
    dialect!(&COUNT_TOKENS, "count_tokens").assert_covered();
}

#[test]
fn every_text_of_chat_completions_is_judged_or_listed() {
    CHAT.assert_covered();
}

#[test]
fn every_text_of_completions_is_judged_or_listed() {
    dialect!(&COMPLETIONS, "completions").assert_covered();
}

#[test]
fn every_text_of_responses_is_judged_or_listed() {
    dialect!(&RESPONSES, "responses").assert_covered();
}

#[test]
fn every_text_of_embeddings_is_judged_or_listed() {
    dialect!(&EMBEDDINGS, "embeddings").assert_covered();
}

/// The rules must see what they are for, or they prove nothing.
#[test]
fn a_field_taken_out_of_a_lens_is_missed() {
    for (dropped, path) in [
        ("/messages/*/name", "messages[role=user].name"),
        ("/messages/0/content/0/text", "messages[role=user].content[type=text].text"),
        ("/tools/*", "tools[type=function].function.description"),
        ("/response_format/*", "response_format[type=json_schema].json_schema.description"),
    ] {
        let dropped = WildMatch::new(dropped);
        let lens = |body: Bytes| {
            let mut segments = CHAT.request(body)?;
            segments.retain(|segment| !dropped.matches(&segment.pointer));
            Ok(segments)
        };
        let fields = CHAT.fields().request;
        let wrong = check(&fields, &CHAT.table().request, Direction::Input, |field| lens(field.body()));
        assert!(
            wrong.iter().any(|line| line == &format!("{path}: nobody judges it")),
            "{dropped}: {wrong:?}"
        );
    }
}

#[test]
fn a_table_that_is_wrong_is_told() {
    let table = |text: &str| Table::read(&format!("request:\n{text}\nresponse: []\nevents: []\n")).unwrap();
    let told = |text: &str| {
        let fields = CHAT.fields().request;
        check(&fields, &table(text).request, Direction::Input, |field| CHAT.request(field.body()))
    };
    let listed_and_judged = told("  - {fields: '*', treatment: not_text, why: a test}");
    assert!(
        listed_and_judged.contains(&"messages[role=user].content: judged, the table says NotText".into())
    );
    let matches_nothing = told(
        "  - {fields: 'no.such.field', treatment: not_text, why: a test}\n  - {fields: '*', treatment: judged}",
    );
    assert!(matches_nothing.contains(&"no.such.field: in the table, no field's path".into()));
    let unlisted = told("  - {fields: 'messages*', treatment: judged}");
    assert!(unlisted.contains(&"user: not in the table".into()), "{unlisted:?}");
    assert!(Table::read("request: [{fields: a, treatment: not_text}]\nresponse: []\nevents: []\n").is_err());
}

impl Dialect {
    fn fields(&self) -> Schema {
        Schema::read(self.schema)
    }

    fn table(&self) -> Table {
        Table::read(self.table).unwrap()
    }

    fn request(&self, body: Bytes) -> Segments {
        Ok(Request::parse(self.lens, body).map_err(|error| error.to_string())?.segments())
    }

    fn response(&self, body: Bytes) -> Segments {
        Ok(Answer::read(self.lens, body)?.segments())
    }

    /// What the reader of a stream finds in its pieces.
    fn events(&self, stream: &[Bytes]) -> Segments {
        let asked =
            Asked { model: "m".into(), stream: true, include_usage: false, n: 1, wants_moderation: false };
        let mut reader = self.lens.reader(&asked);
        let mut events = sse::Events::default();
        stream.iter().for_each(|bytes| events.push(bytes));
        let mut segments = Vec::new();
        for event in events {
            let event = event?;
            let json = event.data.as_deref().and_then(|data| serde_json::from_str(data).ok());
            for piece in reader.read(&event, json.as_ref())?.pieces {
                let track = &reader.tracks()[piece.track];
                segments.push(Segment {
                    pointer: track.pointer.clone(),
                    place: track.place,
                    role: Role::Assistant,
                    direction: Direction::Output,
                    text: piece.text.into(),
                });
            }
        }
        Ok(segments)
    }

    fn assert_covered(&self) {
        let (fields, table) = (self.fields(), self.table());
        let mut wrong = Vec::new();
        let mut add =
            |side: &str, found: Vec<String>| wrong.extend(found.iter().map(|line| format!("{side}: {line}")));
        add(
            "request",
            check(&fields.request, &table.request, Direction::Input, |field| self.request(field.body())),
        );
        add(
            "response",
            check(&fields.response, &table.response, Direction::Output, |field| self.response(field.body())),
        );
        add(
            "events",
            check(&fields.events, &table.events, Direction::Output, |field| self.events(&field.stream())),
        );
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), fields.name, wrong.join("\n"));
    }
}

/// Everything in which a lens and its table differ.
fn check(
    fields: &[Field],
    table: &[table::Entry],
    direction: Direction,
    lens: impl Fn(&Field) -> Segments,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used = vec![false; table.len()];
    for field in fields {
        let path = &field.path;
        let Some(i) = table.iter().position(|entry| entry.pattern.matches(path)) else {
            wrong.push(format!("{path}: not in the table"));
            continue;
        };
        used[i] = true;
        let treatment = table[i].treatment;
        let judged = lens(field).map(|segments| {
            segments.iter().any(|segment| segment.direction == direction && segment.text.contains(MARKER))
        });
        match (treatment, judged) {
            (Treatment::Judged, Ok(true)) | (Treatment::Refused, Err(_)) => {}
            (Treatment::NotText | Treatment::PassedByPolicy | Treatment::Echoed, Ok(false)) => {}
            (Treatment::Judged, Ok(false)) => wrong.push(format!("{path}: nobody judges it")),
            (Treatment::Refused, Ok(_)) => wrong.push(format!("{path}: taken, the table says it is refused")),
            (other, Ok(true)) => wrong.push(format!("{path}: judged, the table says {other:?}")),
            (_, Err(error)) => wrong.push(format!("{path}: refused: {error}")),
        }
    }
    let unused = table.iter().zip(&used).filter(|(_, used)| !**used);
    wrong.extend(unused.map(|(entry, _)| format!("{}: in the table, no field's path", entry.pattern)));
    wrong
}
