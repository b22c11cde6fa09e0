//! What the detector finds and what it leaves alone. Every secret here is made up: bodies come from a seeded
//! generator, so that no file of this repository holds a string that other scanners take for a real key.

use std::{sync::LazyLock, time::Instant};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::new);

const HEX: &str = "0123456789abcdef";
const ALNUM: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn hits(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    SECRETS.scan(text, &mut hits);
    hits
}

/// What is found in a text, as `signal=text`.
fn found(text: &str) -> Vec<String> {
    hits(text).iter().map(|hit| format!("{}={}", &hit.signal[7..], &text[hit.span.clone()])).collect()
}

/// A made-up body.
fn random(len: usize, signs: &str) -> String {
    let mut rng = StdRng::seed_from_u64(len as u64);
    (0..len).map(|_| char::from(signs.as_bytes()[rng.random_range(0..signs.len())])).collect()
}

/// Secrets that are found by themselves.
fn alone() -> Vec<(&'static str, String)> {
    let alnum = |prefix: &str, len: usize| format!("{prefix}{}", random(len, ALNUM));
    let hex = |prefix: &str, len: usize| format!("{prefix}{}", random(len, HEX));
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let bot = BASE64URL_NOPAD.encode(b"123456789012345678");
    let key: String =
        random(400, ALNUM).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n").collect();
    vec![
        ("aws_access_key", format!("AKIA{}", random(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))),
        ("gcp_api_key", alnum("AIza", 35)),
        ("gcp_oauth_token", alnum("ya29.", 60)),
        ("azure_storage_key", format!("AccountKey={}==", random(86, ALNUM))),
        ("azure_client_secret", format!("{}8Q~{}", random(3, ALNUM), random(34, ALNUM))),
        ("cloud_token", hex("dop_v1_", 64)),
        ("github_token", "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".into()),
        ("github_token", alnum("github_pat_", 82)),
        ("gitlab_token", alnum("glpat-", 20)),
        ("npm_token", alnum("npm_", 36)),
        ("pypi_token", alnum("pypi-AgEIcHlwaS5vcmc", 120)),
        ("registry_token", hex("rubygems_", 48)),
        ("slack_token", alnum("xoxb-123456-", 24)),
        ("slack_webhook", alnum("https://hooks.slack.com/services/T0AB1CD2E/B0AB1CD2F/", 24)),
        ("discord_token", format!("{bot}.{}.{}", random(6, ALNUM), random(27, ALNUM))),
        ("discord_webhook", alnum("https://discord.com/api/webhooks/123456789012345678/", 68)),
        ("telegram_token", alnum("123456789:AA", 33)),
        ("twilio_key", hex("SK", 32)),
        ("mail_token", format!("SG.{}.{}", random(22, ALNUM), random(43, ALNUM))),
        ("mail_token", format!("{}-us12", random(32, HEX))),
        ("stripe_key", alnum("sk_live_", 24)),
        ("paypal_token", format!("access_token$production${}${}", random(16, ALNUM), random(32, HEX))),
        ("square_token", alnum("sq0csp-", 43)),
        ("shop_token", hex("shpat_", 32)),
        ("openai_key", format!("sk-{}T3BlbkFJ{}", random(20, ALNUM), random(21, ALNUM))),
        ("openai_key", alnum("sk-proj-", 48)),
        ("anthropic_key", alnum("sk-ant-api03-", 95)),
        ("huggingface_token", alnum("hf_", 34)),
        ("other_llm_key", alnum("gsk_", 52)),
        ("saas_token", alnum("lin_api_", 40)),
        ("private_key", format!("-----BEGIN RSA PRIVATE KEY-----\n{key}-----END RSA PRIVATE KEY-----")),
        ("private_key", format!("-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----", random(200, ALNUM))),
        ("wallet_key", "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ".into()),
        (
            "wallet_key",
            "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi".into(),
        ),
        ("jwt", format!("{header}.{}.{}", BASE64URL_NOPAD.encode(br#"{"sub":"7"}"#), random(43, ALNUM))),
        ("connection_string", "postgres://app:S3cr3t-pw@db.internal:5432/main".into()),
        ("connection_string", "mongodb+srv://app:S3cr3t-pw@cluster0.example.mongodb.net/?w=1".into()),
        ("connection_string", "redis://:S3cr3tpw9@cache:6379/0".into()),
    ]
}

#[test]
fn secrets_are_found_alone_and_in_sentences() {
    for (signal, secret) in alone() {
        let expected = vec![format!("{signal}={secret}")];
        assert_eq!(found(&secret), expected, "alone");
        assert_eq!(found(&format!("Here it is: {secret} , so use it.")), expected, "in a sentence");
        assert_eq!(found(&format!("\"{secret}\"")), expected, "in quotes");
    }
}

#[test]
fn every_listed_signal_has_a_case() {
    let tested: Vec<_> = alone().iter().map(|case| case.0).collect();
    let elsewhere = ["aws_secret_key", "gcp_service_account", "authorization", "assignment"];
    for signal in SECRETS.signals() {
        let name = &signal.name[7..];
        assert!(tested.contains(&name) || elsewhere.contains(&name), "{name} has no case");
    }
    for signal in RULES.iter().map(|rule| rule.signal).chain(LANDMARKS.iter().map(|landmark| landmark.signal))
    {
        assert!(SECRETS.signals.contains_key(signal), "{signal} is not listed");
    }
}

#[test]
fn a_wrong_checksum_or_length_counts_less_or_not() {
    let score = |text: &str| hits(text).first().map(|hit| hit.score);
    assert_eq!(score("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"), Some(1.0));
    assert_eq!(score("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"), Some(0.8));
    assert_eq!(score("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq"), None);
    assert_eq!(score("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTK"), None);
    assert_eq!(score("AKIAIOSFODNN7EXAMPLE"), Some(0.3));
    assert_eq!(score(&format!("hf_{}", "x".repeat(34))), None);
}

#[test]
fn the_aws_pair_is_found() {
    let (id, secret) = (format!("AKIA{}", random(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")), random(40, ALNUM));
    let expected = [format!("aws_access_key={id}"), format!("aws_secret_key={secret}")];
    assert_eq!(found(&format!("{id}\n{secret}\n")), expected);
    assert_eq!(found(&format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}")), expected);
    assert_eq!(found(&format!("commit {secret}")), [""; 0]);
}

#[test]
fn a_service_account_is_one_finding() {
    let account = format!(
        r#"{{"type": "service_account", "project_id": "p", "private_key": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"}}"#,
        random(300, ALNUM)
    );
    assert_eq!(found(&format!("key file: {account} end")), [format!("gcp_service_account={account}")]);
    assert_eq!(found(r#"{"type": "service_account", "project_id": "p"}"#), [""; 0]);
}

#[test]
fn assignments_are_found_in_many_notations() {
    for (text, secret) in [
        ("password = \"tr0ub4dor&3\"", "tr0ub4dor&3"),
        ("DB_PASSWORD=tr0ub4dor&3\n", "tr0ub4dor&3"),
        ("my password is hunter2, ok?", "hunter2"),
        ("mein Passwort lautet Sommer2024!", "Sommer2024"),
        ("mot de passe : Soleil#42", "Soleil#42"),
        ("密码是 Taiyang88", "Taiyang88"),
        ("{\"api_key\": \"8f14e45fceea167a5a36dedd4bea2543\"}", "8f14e45fceea167a5a36dedd4bea2543"),
        ("apiKey: '8f14e45fceea167a5a36dedd4bea2543'", "8f14e45fceea167a5a36dedd4bea2543"),
        ("client_secret=9aF3kQz7LmX2vT8bWc4R", "9aF3kQz7LmX2vT8bWc4R"),
        ("export AUTH_TOKEN=9aF3kQz7LmX2vT8bWc4R", "9aF3kQz7LmX2vT8bWc4R"),
        ("SECRET_KEY_BASE: 9aF3kQz7LmX2vT8bWc4R", "9aF3kQz7LmX2vT8bWc4R"),
        ("params[:token] => \"9aF3kQz7LmX2vT8bWc4R\"", "9aF3kQz7LmX2vT8bWc4R"),
    ] {
        assert_eq!(found(text), [format!("assignment={secret}")], "{text}");
    }
}

#[test]
fn headers_and_ado_strings_are_found() {
    assert_eq!(found("Authorization: Bearer 9aF3kQz7LmX2vT8bWc4R"), ["authorization=9aF3kQz7LmX2vT8bWc4R"]);
    let basic = BASE64.encode(b"ann:tr0ub4dor");
    assert_eq!(found(&format!("-H 'Authorization: Basic {basic}'")), [format!("authorization={basic}")]);
    let ado = "Server=db;Database=main;User Id=app;Password=tr0ub4dor&3;Encrypt=true";
    assert_eq!(found(ado), ["connection_string=tr0ub4dor&3"]);
}

#[test]
fn look_alikes_are_left_alone() {
    for text in [
        "api_key = YOUR_API_KEY; token: ${TOKEN}; password=xxxx; secret: <secret>",
        "password = getpass.getpass(); token = os.environ[\"TOKEN2\"]; self.password = user.password1",
        "def login(password: str, token: Optional[str] = None): pass",
        "my password is not working and the secret is patience; token: 128 per page",
        "max_tokens: 4096, tokenizer: bert-base-uncased2, secretary: Ann-Marie-Louise-2",
        "Reset your password: https://example.com/reset2 or ask",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8, id 550e8400-e29b-41d4-a716-446655440000",
        "postgres://user:password@localhost/db and redis://localhost:6379 and postgres://postgres:postgres@db/x",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo\n-----END PUBLIC KEY-----",
        "it starts with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "eyJhbGciOi is how a token starts; eyJub3Q.a.jwt",
        "sk-learn, sk-proj-x, task-force-1234567890, hf_transfer, npm_config_registry, key-value, SKU 12",
        "Authorization: Bearer <token>; Authorization: Bearer $TOKEN; authorization: required",
        "AccountKey=; sig=1; Q~ and :AA and MTA and -us12",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn hostile_text_takes_linear_time() {
    for unit in [
        "a@",
        "1-",
        "((((",
        "7",
        "eyJ",
        "eyJ.",
        "eyJhbGciOiJIUzI1NiJ9.",
        "password=",
        "password=\"",
        "token ",
        "://",
        "redis://a:b",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "\"service_account\"",
        "{\"service_account\"",
        "sk-",
        "AKIA",
        "MT.",
        "Q~",
        ":AA",
        "PuTTY-User-Key-File-",
        "Authorization: Bearer ",
        "é",
        "密码",
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let start = Instant::now();
        let hits = hits(&text);
        // Generous: a debug build on a busy machine. What is quadratic takes hours.
        assert!(
            start.elapsed().as_secs() < 20,
            "{unit:?} took {:?} for {} hits",
            start.elapsed(),
            hits.len()
        );
    }
}

#[test]
#[ignore = "prints times"]
fn times() {
    hits("built before the clock starts");
    let plain =
        "The quick brown fox jumps over the lazy dog, and nobody on the street minded that it was late. "
            .repeat(22);
    let start = Instant::now();
    for _ in 0..2000 {
        assert!(hits(&plain[..2000]).is_empty());
    }
    eprintln!("plain: {:?} for 2 kB", start.elapsed() / 2000);
    for unit in [
        "eyJ.",
        "password=",
        "-----BEGIN PRIVATE KEY-----",
        "{\"service_account\"",
        "AKIA",
        "Authorization: Bearer ",
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let start = Instant::now();
        let hits = hits(&text).len();
        eprintln!("{unit:?}: {:?} for 1 MiB, {hits} hits", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn spans_stand_on_character_borders_in_order(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "password", "=", "\"", ": ", "é", "密码", "是", "://", "redis://a:b9c8d7", "@", "eyJ", ".", "-----BEGIN ",
                    "PRIVATE KEY-----", "-----END ", "AKIA", "sk-", "Q~", ":AA", "\\", "\n", "Bearer ", "authorization",
                    "{", "}", "\"service_account\"", "hooks.slack.com/services/", "9aF3kQz7LmX2vT8bWc4R", "Password=", ";",
                    "server=",
                ]).prop_map(String::from),
                "\\PC{0,12}",
            ],
            0..40,
        ),
    ) {
        let text = parts.concat();
        let mut end = 0;
        for hit in hits(&text) {
            prop_assert!(text.get(hit.span.clone()).is_some_and(|part| !part.is_empty()));
            prop_assert!(hit.span.start >= end && (0.0..=1.0).contains(&hit.score));
            end = hit.span.end;
        }
    }

    #[test]
    fn what_is_found_by_itself_is_found_again_alone(
        case in prop::sample::select(alone()), before in "[a-z ]{0,20} ", after in " [a-z ]{0,20}",
    ) {
        let text = format!("{before}{}{after}", case.1);
        for hit in hits(&text) {
            let again = hits(&text[hit.span.clone()]);
            prop_assert_eq!(&again[0].signal, &hit.signal);
            prop_assert_eq!(again[0].span.clone(), 0..hit.span.len());
        }
    }
}

#[test]
fn no_token_is_shorter_than_the_run_that_is_looked_for() {
    assert!(RULES.iter().all(|rule| rule.shortest() >= SHORTEST));
}

proptest! {
    #[test]
    fn prop_a_long_run_is_seen_wherever_it_stands(text in "([a]{0,15}[ \n]){0,6}[a-z]{0,20}( [a]{0,18}){0,3}") {
        let longest = text.split([' ', '\n']).map(str::len).max();
        prop_assert_eq!(has_long_run(text.as_bytes()), longest >= Some(SHORTEST));
    }
}
