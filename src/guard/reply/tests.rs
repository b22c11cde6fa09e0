//! The texts in the box, the ones people add, and which of them is read.

use std::{collections::BTreeMap, fs, sync::Arc};

use super::{language::LANGUAGES, *};
use crate::verdict::{Action, Failure, FailureReason, Mode, PolicyId, RuleHit};

/// Longer texts are not read by someone who was just refused.
const MAX_CHARS: usize = 450;

fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("a file in it");
    }
    dir
}

/// The error of loading one file, its place shortened to the file's name.
fn load_error(name: &str, text: &str) -> String {
    let dir = dir_with(&[(name, text)]);
    let error = Replies::load(dir.path()).expect_err("the file is wrong").to_string();
    error.replace(&format!("{}/", dir.path().display()), "")
}

fn every_text(replies: &Replies) -> impl Iterator<Item = (&str, &str, &str)> {
    replies.languages.iter().flat_map(|(tag, texts)| {
        let both = texts.replies.iter().chain(&texts.notices);
        both.map(move |(name, text)| (tag.as_str(), name.as_str(), text.as_str()))
    })
}

#[test]
fn every_language_has_every_text() {
    let replies = Replies::builtin();
    assert_eq!(replies.languages().len(), 14);
    assert_eq!(replies.missing(), []);
    assert_eq!(replies.names(), reply_names().into_iter().map(String::from).collect());
    assert_eq!(replies.notices(), NOTICES.into_iter().map(String::from).collect());
}

#[test]
fn texts_are_short() {
    for (tag, name, text) in every_text(&Replies::builtin()) {
        let chars = text.chars().count();
        assert!((20..=MAX_CHARS).contains(&chars), "{tag} {name} has {chars} characters");
    }
}

#[test]
fn no_text_is_left_in_english_or_said_twice() {
    let replies = Replies::builtin();
    let mut seen = BTreeMap::new();
    for (tag, name, text) in every_text(&replies) {
        if let Some((other_tag, other)) = seen.insert(text, (tag, name)) {
            panic!("{tag} {name} reads as {other_tag} {other}");
        }
        assert!(!text.contains("  "), "{tag} {name} has two spaces in a row");
    }
}

#[test]
fn texts_that_need_help_lines_have_them() {
    for (tag, name, text) in every_text(&Replies::builtin()) {
        let wants_lines = ["crisis", "suicide_self_harm", "support"].contains(&name);
        assert_eq!(text.contains(file::HELPLINES), wants_lines, "{tag} {name}");
        let wants_number = ["crisis", "suicide_self_harm", "not-a-doctor"].contains(&name);
        assert_eq!(text.contains(file::EMERGENCY), wants_number, "{tag} {name}");
    }
}

/// The Unicode blocks of the scripts in which the texts of a language are written; `None` is Latin.
fn script(tag: &str) -> Option<fn(char) -> bool> {
    let kana = |c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
    match tag {
        "ar" => Some(|c| matches!(c, '\u{600}'..='\u{6ff}')),
        "hi" => Some(|c| matches!(c, '\u{900}'..='\u{97f}')),
        "zh" => Some(|c| matches!(c, '\u{4e00}'..='\u{9fff}')),
        "ja" => Some(kana),
        "ko" => Some(|c| matches!(c, '\u{ac00}'..='\u{d7a3}')),
        _ => None,
    }
}

#[test]
fn texts_are_in_the_script_of_their_language() {
    for (tag, name, text) in every_text(&Replies::builtin()) {
        let text = text.replace(file::HELPLINES, "").replace(file::EMERGENCY, "");
        let own = script(tag).unwrap_or(|c| c < '\u{250}');
        let letters: Vec<char> = text.chars().filter(|c| c.is_alphabetic()).collect();
        let foreign: String = letters.iter().filter(|c| !own(**c)).collect();
        // `AI` and the like are Latin everywhere.
        let allowed = if script(tag).is_some() { 4 } else { 0 };
        assert!(foreign.chars().count() <= allowed, "{tag} {name} contains `{foreign}`");
        if tag == "ja" {
            assert!(letters.iter().any(|c| matches!(c, '\u{3040}'..='\u{309f}')), "{tag} {name} has no kana");
        }
    }
}

#[test]
fn texts_are_in_their_language() {
    let replies = Replies::builtin();
    for language in LANGUAGES {
        let all: Vec<&str> = every_text(&replies)
            .filter(|(tag, _, _)| *tag == language.code)
            .map(|(_, _, text)| text)
            .collect();
        let found = whatlang::detect_lang(&all.join("\n")).expect("a language");
        assert!(language.long.contains(&found.code()), "{} reads as {}", language.code, found.code());
    }
}

#[test]
fn helplines_follow_the_region_else_the_language() {
    let replies = Replies::builtin();
    let german = replies.reply("crisis", "de", None);
    for line in ["- Deutschland – TelefonSeelsorge: 0800 111 0 111", "- Österreich – TelefonSeelsorge: 142"]
    {
        assert!(german.contains(line), "{german}");
    }
    let austrian = replies.reply("crisis", "de-AT", Some("at"));
    assert!(austrian.contains("- TelefonSeelsorge: 142\n- Find A Helpline: https://findahelpline.com"));
    assert!(!austrian.contains("0800"));
    // Where nothing is known of a region, nothing of another is claimed.
    let elsewhere = replies.reply("crisis", "de", Some("VA"));
    assert!(elsewhere.contains("findahelpline.com") && elsewhere.contains("112 / 911"));
    assert!(!elsewhere.contains("TelefonSeelsorge"));
}

#[test]
fn emergency_numbers_that_differ_say_where() {
    let replies = Replies::builtin();
    let helplines = &replies.helplines;
    assert_eq!(helplines.emergency(None, "en"), "911 (US, CA), 999 (GB), 000 (AU)");
    assert_eq!(helplines.emergency(None, "de"), "112");
    assert_eq!(helplines.emergency(Some("JP"), "en"), "119");
    assert_eq!(helplines.emergency(None, "tlh"), "112 / 911");
}

#[test]
fn every_main_region_has_help_lines() {
    let helplines = Replies::builtin().helplines;
    for region in LANGUAGES.iter().flat_map(|language| language.regions) {
        // The international line is always there.
        assert!(helplines.list(Some(region), "en").lines().count() > 1, "{region}");
    }
}

#[test]
fn languages_are_found_by_any_tag() {
    let replies = Replies::builtin();
    let tag = |language| replies.refusal("cyber", language, None).language;
    assert_eq!(tag("pt-BR"), "pt");
    assert_eq!(tag("zh_Hant_TW"), "zh");
    assert_eq!(tag("cmn"), "zh");
    assert_eq!(tag("DE"), "de");
    assert_eq!(tag("sv"), "en");
    assert_eq!(tag(""), "en");
}

#[test]
fn unknown_names_still_give_a_text() {
    let replies = Replies::builtin();
    assert_eq!(replies.reply("no-such", "en", None), replies.reply(GENERIC, "en", None));
    assert_eq!(replies.notice("no-such", "en", None), replies.notice("general", "en", None));
}

#[test]
fn a_directory_overrides_key_by_key() {
    let dir = dir_with(&[
        ("en.yaml", "replies:\n  cyber: Not here.\n  x-acme: Ask the help desk.\n"),
        ("pt-br.yaml", "replies:\n  cyber: Aqui não dá.\n"),
        ("sv.yaml", "notices:\n  general: Det här kan vara fel.\n"),
        ("helplines.yaml", "regions:\n  DE: {name: D, emergency: '110', lines: [{name: A, contact: '1'}]}\n"),
        ("README.md", "not a text"),
    ]);
    let replies = Replies::load(dir.path()).expect("the directory is right");
    let builtin = Replies::builtin();
    assert_eq!(replies.reply("cyber", "en", None), "Not here.");
    assert_eq!(replies.reply("hate", "en", None), builtin.reply("hate", "en", None));
    assert_eq!(replies.reply("x-acme", "de", None), "Ask the help desk.");
    assert!(replies.names().contains("x-acme"));
    // A regional variant falls back to its language.
    assert_eq!(replies.reply("cyber", "pt-BR", None), "Aqui não dá.");
    assert_eq!(replies.reply("hate", "pt-BR", None), builtin.reply("hate", "pt", None));
    assert_eq!(replies.notice("general", "sv", None), "Det här kan vara fel.");
    assert!(replies.reply("crisis", "de", Some("DE")).contains("- A: 1\n"));

    let missing = replies.missing();
    let missing = |tag: &str, name: &str| missing.contains(&(tag.into(), name.into()));
    assert!(missing("sv", "cyber") && missing("de", "x-acme") && missing("pt-br", "x-acme"));
    assert!(!missing("sv", "general") && !missing("pt-br", "hate"));
}

#[test]
fn errors_say_where_and_what() {
    for (name, text, error) in [
        (
            "en.yaml",
            "replies:\n  jailbrake: x\n",
            "en.yaml:2:3: unknown reply `jailbrake`; did you mean `jailbreak`? (a name of your own begins with `x-`)",
        ),
        (
            "de.yaml",
            "notices:\n  general: Ruf {hotline} an\n",
            "de.yaml:2:3: `general` contains `{hotline}`; expected `{helplines}` or `{emergency}`, and no other braces",
        ),
        (
            "de.yaml",
            "replies:\n  hate: ''\n",
            "de.yaml:2:3: `hate` is empty; expected a text, or leave the key out to keep the built-in one",
        ),
        (
            "de.yaml",
            "replies:\n  x-acme: Fragen Sie\n",
            "de.yaml:2:3: reply `x-acme` has no English text; add it to `en.yaml`, which every language falls back to",
        ),
        (
            "helplines.yaml",
            "regions:\n  Germany: {emergency: '112'}\n",
            "helplines.yaml:2:12: `Germany` is not a region; expected an ISO 3166-1 code such as `DE`",
        ),
        (
            "german.yaml",
            "replies: {}\n",
            "`german.yaml` is not named after a language; expected a tag such as `en.yaml` or `pt-br.yaml`",
        ),
    ] {
        assert_eq!(load_error(name, text), error);
    }
    for (text, place) in [
        ("replies:\n  hate: [a, b]\n", "en.yaml:2:9: "),
        ("replies:\n  hate: a\n  hate: b\n", "en.yaml:3:3: "),
        ("reply:\n  hate: a\n", "en.yaml:1:1: "),
        ("replies: 'x\n", "en.yaml:"),
    ] {
        let error = load_error("en.yaml", text);
        assert!(error.starts_with(place) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_directory_without_texts_is_an_error() {
    let dir = dir_with(&[("notes.txt", "x")]);
    let error = Replies::load(dir.path()).expect_err("nothing there").to_string();
    assert!(error.ends_with("holds no replies; expected files such as `en.yaml` or `helplines.yaml`"));
    assert!(matches!(Replies::load(&dir.path().join("none")), Err(RepliesError::Read { .. })));
}

#[test]
fn the_region_comes_from_the_most_wanted_language() {
    assert_eq!(region_of("de-AT,de;q=0.9,en-US;q=0.8").as_deref(), Some("AT"));
    assert_eq!(region_of("de, en-GB;q=0.5, fr-FR;q=0.7").as_deref(), Some("FR"));
    assert_eq!(region_of("zh-Hant-tw").as_deref(), Some("TW"));
    for none in ["de", "*", "", "es-419", "en-US;q=0", "en-US;q=x", "en-u-ca-gregory", ",;,q=1"] {
        assert_eq!(region_of(none), None, "{none}");
    }
}

fn verdict(direction: Direction, hits: Vec<RuleHit>, failures: Vec<(Failure, OnFailure)>) -> Verdict {
    Verdict {
        direction,
        policy: PolicyId { name: "p".into(), hash: "0".into() },
        mode: Mode::Enforce,
        action: Action::Refuse,
        would: Action::Refuse,
        hits,
        redactions: Vec::new(),
        findings: Vec::new(),
        failures,
        coverage: crate::verdict::Coverage::default(),
    }
}

fn refuses(hazard: Option<Hazard>, reply: Option<&str>) -> RuleHit {
    RuleHit {
        rule: "r".into(),
        action: Action::Refuse,
        mode: Mode::Enforce,
        hazard,
        segments: vec![0],
        reply: reply.map(Arc::from),
        notice: None,
        notice_at: NoticeAt::After,
        guidance: None,
    }
}

#[test]
fn the_deciding_rule_chooses_the_reply() {
    use Direction::{Input, Output};
    let cyber = Some(Hazard::Cyber);
    for (direction, hazard, named, reply) in [
        (Input, cyber, Some("secret"), "secret"),
        (Output, cyber, Some("secret"), "secret"),
        (Input, cyber, None, "cyber"),
        (Output, cyber, None, "output"),
        (Input, None, None, "generic"),
        (Output, None, None, "output"),
        (Output, Some(Hazard::SuicideSelfHarm), None, "suicide_self_harm"),
        (Input, cyber, Some("no-such"), "generic"),
    ] {
        let verdict = verdict(direction, vec![refuses(hazard, named)], Vec::new());
        let refusal = compose(&verdict, &Replies::builtin(), "fr", None);
        assert_eq!((refusal.reply.as_str(), refusal.language.as_str()), (reply, "fr"));
        assert_eq!(refusal.text, Replies::builtin().reply(reply, "fr", None));
    }
}

#[test]
fn a_guard_that_could_not_run_says_so() {
    let failure = Failure { detector: "guard", reason: FailureReason::Late };
    let closed = verdict(Direction::Output, Vec::new(), vec![(failure.clone(), OnFailure::Closed)]);
    assert_eq!(compose(&closed, &Replies::builtin(), "en", None).reply, UNAVAILABLE);
    let open = verdict(Direction::Input, Vec::new(), vec![(failure, OnFailure::Open)]);
    assert_eq!(compose(&open, &Replies::builtin(), "en", None).reply, GENERIC);
}

#[test]
fn a_notice_stands_apart() {
    assert_eq!(place_notice("Answer", "Note", NoticeAt::Before), "Note\n\nAnswer");
    assert_eq!(place_notice("Answer", "Note", NoticeAt::After), "Answer\n\nNote");
    assert_eq!(place_notice("", "Note", NoticeAt::After), "Note");
}
