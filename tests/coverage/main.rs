//! The proof of coverage: a marker is planted in every text field of the vendors' schemas, one at a time, and a dialect
//! must judge it, or say in its table (`src/dialect/fields`) why not. `make.py` beside this makes the lists of fields.
#![allow(clippy::unwrap_used, reason = "a test that can't go on should say where")]

mod schema;
mod table;

use bytes::Bytes;
use demur::{
    dialect::chat::{ChatAnswer, ChatRequest},
    message::{Direction, Segment},
};
use wildmatch::WildMatch;

use crate::{
    schema::{Field, MARKER, Schema},
    table::{Table, Treatment},
};

/// What a dialect lists of a body or of a stream, or why it does not take it.
type Segments = Result<Vec<Segment>, String>;

/// How a dialect reads each side; `None` where its lens is still to come, or where it has no such side.
struct Dialect {
    schema: &'static str,
    table: &'static str,
    request: Option<fn(Bytes) -> Segments>,
    response: Option<fn(Bytes) -> Segments>,
    events: Option<fn(Vec<Bytes>) -> Segments>,
}

const CHAT: Dialect = Dialect {
    schema: include_str!("chat.json"),
    table: include_str!("../../src/dialect/fields/chat.yaml"),
    request: Some(|body| Ok(ChatRequest::parse(body).map_err(|error| error.to_string())?.segments())),
    response: Some(|body| Ok(ChatAnswer::from_whole(body)?.segments())),
    events: Some(|stream| Ok(ChatAnswer::from_events(stream)?.segments())),
};

/// Dialects whose lenses are to come: a closure for each side switches it on, as in `CHAT`.
const TO_COME: [Dialect; 5] = [
    to_come(include_str!("completions.json"), include_str!("../../src/dialect/fields/completions.yaml")),
    to_come(include_str!("responses.json"), include_str!("../../src/dialect/fields/responses.yaml")),
    to_come(include_str!("embeddings.json"), include_str!("../../src/dialect/fields/embeddings.yaml")),
    to_come(include_str!("messages.json"), include_str!("../../src/dialect/fields/messages.yaml")),
    to_come(include_str!("count_tokens.json"), include_str!("../../src/dialect/fields/count_tokens.yaml")),
];

const fn to_come(schema: &'static str, table: &'static str) -> Dialect {
    Dialect { schema, table, request: None, response: None, events: None }
}

#[test]
fn every_text_of_chat_completions_is_judged_or_listed() {
    CHAT.assert_covered();
}

/// Without a lens only this is known: each field has its place in the table, and the table names no other.
#[test]
fn the_tables_of_dialects_to_come_fit_their_schemas() {
    for dialect in TO_COME {
        dialect.assert_covered();
    }
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
            let mut segments = CHAT.request.unwrap()(body)?;
            segments.retain(|segment| !dropped.matches(&segment.pointer));
            Ok(segments)
        };
        let fields = CHAT.fields().request;
        let wrong = check(&fields, &CHAT.table().request, Direction::Input, |field| Some(lens(field.body())));
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
        check(&fields, &table(text).request, Direction::Input, |field| {
            Some(CHAT.request.unwrap()(field.body()))
        })
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

    /// Everything in each side's list is treated as its table says.
    fn assert_covered(&self) {
        let (fields, table) = (self.fields(), self.table());
        let request = |field: &Field| self.request.map(|lens| lens(field.body()));
        let response = |field: &Field| self.response.map(|lens| lens(field.body()));
        let events = |field: &Field| self.events.map(|lens| lens(field.stream()));
        let sides = [
            ("request", check(&fields.request, &table.request, Direction::Input, request)),
            ("response", check(&fields.response, &table.response, Direction::Output, response)),
            ("events", check(&fields.events, &table.events, Direction::Output, events)),
        ];
        let lines = |(side, found): (&'static str, Vec<String>)| {
            found.into_iter().map(move |line| format!("{side}: {line}"))
        };
        let wrong: Vec<String> = sides.into_iter().flat_map(lines).collect();
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), fields.name, wrong.join("\n"));
    }
}

/// Everything in which a lens and its table differ; without a lens, in which the schema and the table do.
fn check(
    fields: &[Field],
    table: &[table::Entry],
    direction: Direction,
    lens: impl Fn(&Field) -> Option<Segments>,
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
        let Some(segments) = lens(field) else { continue };
        let judged = segments.map(|segments| {
            segments.iter().any(|segment| segment.direction == direction && segment.text.contains(MARKER))
        });
        match (treatment, judged) {
            (Treatment::Judged, Ok(true)) | (Treatment::Refused, Err(_)) => {}
            (Treatment::NotText | Treatment::PassedByPolicy | Treatment::NotYet, Ok(false)) => {}
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
