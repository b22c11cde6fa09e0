//! What the detector finds and what it leaves alone. Numbers are the published examples of the standards, or made
//! with their check digits.

use std::{sync::LazyLock, time::Instant};

use proptest::prelude::*;

use super::*;

static PII: LazyLock<Pii> = LazyLock::new(Pii::new);

/// What is found in a text, as `signal=text`.
fn found(text: &str) -> Vec<String> {
    hits(text).iter().map(|hit| format!("{}={}", &hit.signal[4..], &text[hit.span.clone()])).collect()
}

fn hits(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    PII.scan(text, &mut hits);
    hits
}

/// Numbers that need no words, each with one that its check refuses.
const ALONE: &[(&str, &str, &str)] = &[
    ("credit_card", "4111 1111 1111 1111", "4111 1111 1111 1112"),
    ("credit_card", "4111111111111111", "4111111111111121"),
    ("credit_card", "3782-822463-10005", "3782-822463-10006"),
    ("iban", "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 01"),
    ("iban", "GB29NWBK60161331926819", "GB28NWBK60161331926819"),
    ("iban", "FR14 2004 1010 0505 0001 3M02 606", "FR14 2004 1010 0505 0001 3M02 607"),
    ("us_ssn", "536-90-4399", "666-90-4399"),
    ("us_itin", "912-70-1234", "912-89-1234"),
    ("mx_curp", "HEGG560427MVZRRL04", "HEGG560427MVZRRL05"),
    ("br_cpf", "111.444.777-35", "111.444.777-36"),
    ("ar_cuil", "20-12345678-6", "20-12345678-7"),
    ("cl_rut", "12.345.678-5", "12.345.678-6"),
    ("gb_nino", "AB123456C", "QQ123456C"),
    ("gb_nino", "AB 12 34 56 C", "AB 12 34 56 E"),
    ("de_tax_id", "86 095 742 719", "86 095 742 718"),
    ("ch_ahv", "756.9217.0769.85", "756.9217.0769.84"),
    ("fr_nir", "2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
    ("fr_nir", "255081416802538", "255081416802539"),
    ("be_national_number", "85.07.30-033.28", "85.07.30-033.29"),
    ("es_dni", "12345678Z", "12345678A"),
    ("es_dni", "X1234567L", "X1234567M"),
    ("it_codice_fiscale", "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
    ("cz_rodne_cislo", "736028/5163", "736028/5164"),
    ("ru_snils", "112-233-445 95", "112-233-445 96"),
    ("se_personnummer", "811218-9876", "811218-9877"),
    ("fi_hetu", "131052-308T", "131052-308U"),
    ("fi_hetu", "131052A308T", "131052A309T"),
    ("ae_emirates_id", "784-1980-1234567-8", "784-1980-1234567-9"),
    ("sg_nric", "S1234567D", "S1234567E"),
    ("th_id", "1-2345-67890-12-1", "1-2345-67890-12-2"),
    ("cn_resident_id", "11010519491231002X", "110105194912310021"),
    ("hk_id", "A123456(3)", "A123456(4)"),
    ("kr_rrn", "850101-1234566", "850101-1234565"),
    ("ip_address", "93.184.216.34", "93.184.256.34"),
    ("ip_address", "2001:db8::8a2e:370:7334", "2001:db8::8a2e::7334"),
    ("mac_address", "00:1A:2B:3C:4D:5E", "00:1A:2B:3C:4D:5G"),
    ("mac_address", "00-1A-2B-3C-4D-5E", "00-1A-2B-3C-4D"),
    ("crypto_wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
    ("email", "ann.smith@example.com", "ann.smith@example"),
    ("phone", "+49 30 901820", "+49 30 9"),
    ("phone", "+1 415-555-2671", "+1 115-555-2671"),
    ("phone", "(415) 555-2671", "(115) 555-2671"),
    ("phone", "06 12 34 56 78", "00 12 34 56 78"),
    ("phone", "07911 123456", "05911 123456"),
    (
        "passport",
        "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "L898902C36UTO7408122F1204159ZE184226B<<<<<11",
    ),
];

/// Numbers that need a word, each with one that its check refuses.
const WITH_WORDS: &[(&str, &str, &str, &str)] = &[
    ("ca_sin", "My SIN is", "046 454 286", "046 454 287"),
    ("gb_nhs", "NHS number:", "943 476 5919", "943 476 5918"),
    ("ie_pps", "PPS no", "1234567T", "1234567U"),
    ("ie_pps", "PPSN", "1234567FA", "1234567GA"),
    ("de_tax_id", "Meine Steuer-ID lautet", "86095742719", "86095742718"),
    ("at_svnr", "Sozialversicherungsnummer", "1237010180", "1238010180"),
    ("nl_bsn", "Mijn BSN is", "111222333", "111222334"),
    ("pt_nif", "O meu NIF é", "123456789", "123456780"),
    ("gr_amka", "ΑΜΚΑ:", "01018012342", "01018012343"),
    ("pl_pesel", "Mój PESEL to", "44051401359", "44051401358"),
    ("ro_cnp", "CNP", "1800101221144", "1800101221145"),
    ("bg_egn", "ЕГН", "7523169263", "7523169264"),
    ("ru_inn", "ИНН", "500100732259", "500100732258"),
    ("no_fodselsnummer", "fødselsnummer", "29029600013", "29029600014"),
    ("dk_cpr", "CPR-nummer", "070761-4285", "073261-4285"),
    ("tr_kimlik", "T.C. kimlik no:", "10000000146", "10000000147"),
    ("il_id", "תעודת זהות", "123456782", "123456783"),
    ("sa_id", "رقم الهوية", "1000000008", "1000000009"),
    ("za_id", "South African ID", "8001015009087", "8001015009088"),
    ("in_aadhaar", "आधार", "234123412346", "234123412347"),
    ("in_pan", "PAN card", "ABCPE1234F", "ABCXE1234F"),
    ("my_nric", "MyKad", "800101-14-5678", "801301-14-5678"),
    ("id_nik", "NIK", "3171234101900001", "3171237201900001"),
    ("tw_id", "身分證字號", "A123456789", "A123456788"),
    ("jp_my_number", "マイナンバーは", "123456789018", "123456789019"),
    ("au_tfn", "tax file number", "123 456 782", "123 456 783"),
    ("au_medicare", "Medicare card", "2123 45670 1", "2123 45680 1"),
    ("nz_ird", "IRD number", "49-091-850", "49-091-851"),
    ("passport", "Passport No.", "C01X00T47", "C01X0"),
    ("phone", "my phone is", "415 555 2671", "415 555"),
    ("phone", "Telefon:", "030 901820", "030 9"),
    ("phone", "我的手机号是", "13800138000", "138001"),
];

#[test]
fn confirmed_numbers_are_found_alone_and_in_sentences() {
    for (signal, right, wrong) in ALONE {
        let expected = vec![format!("{signal}={right}")];
        assert_eq!(found(right), expected, "{right} alone");
        assert_eq!(found(&format!("Hello, it is {right}, thanks.")), expected, "{right} in a sentence");
        assert_eq!(found(&format!("\"{right}\"\n")), expected, "{right} in quotes");
        let seen = found(&format!("it is {wrong}."));
        assert!(!seen.iter().any(|hit| hit.starts_with(signal)), "{wrong}: {seen:?}");
    }
}

#[test]
fn bare_numbers_are_found_where_words_name_them() {
    for (signal, words, right, wrong) in WITH_WORDS {
        let expected = vec![format!("{signal}={right}")];
        assert_eq!(found(&format!("{words} {right}.")), expected, "{words} {right}");
        let seen = found(&format!("{words} {wrong}."));
        assert!(!seen.iter().any(|hit| hit.starts_with(signal)), "{words} {wrong}: {seen:?}");
        let seen = found(&format!("it holds {right} of them"));
        assert!(!seen.iter().any(|hit| hit.starts_with(signal)), "{right} without words: {seen:?}");
    }
}

#[test]
fn look_alikes_are_left_alone() {
    for text in [
        "version 1.2.3.4 and v10.0.19041.1, build 6.1.7601.65",
        "on 2024-01-15 at 12:30:45, or 15.01.2024, 01/15/2024 and 20240115",
        "order 100-2345678-1234567 and invoice 2024-000123, ticket #123456789",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 and e83c5163316f89bfbde7d9ab23ca2e25604af290",
        "550e8400-e29b-41d4-a716-446655440000 and 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "ISBN 978-0-306-40615-7, ISBN-10 0-306-40615-2 and 9780306406157",
        "pi is 3.14159265358979323846 and 0.4111111111111111 is a fraction",
        "1617181920212 ms, 1700000000 s, 12,345,678,901 and 1_000_000_007",
        "the fox ran 100 m in 9.58 s; 1985 was a year; call f(1234567) 8 times",
        "127.0.0.1, 192.168.1.20, 10.0.0.1, 0.0.0.0, fe80::1, ::1 and 255.255.255.255",
        "std::vector<int> x{1}; a::b::c; 12:30; key: value; http://localhost:8080/a/123456789",
        "https://example.com/watch/4111111111111111/1234567890",
        "react@18.2.0 icon@2x.png @param1 git@github.com:me/repo2.git",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "5 minutes down the road, 3 people on the street, 2 ways to drive",
        "I was born in 1985 and moved in 2001; the 3rd of 10 places",
        "Psalm 119:105, Fibonacci 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987",
        "matrix 1234 5678 9012 3456 7890 1234 5678 9012 and 000-00-0000",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn the_more_specific_match_wins() {
    assert_eq!(found("card 4111 1111 1111 1111 12/27 123"), ["credit_card=4111 1111 1111 1111"]);
    assert_eq!(found("call my phone +44 20 7946 0958 now"), ["phone=+44 20 7946 0958"]);
    assert_eq!(found("https://ann:s3cr3t@host.example.org/x"), ["url_credentials=ann:s3cr3t"]);
    assert_eq!(found("postgres://ann:s3cr3t@host.example.org/x"), [""; 0]);
    assert_eq!(found("phone: 111.444.777-35"), ["br_cpf=111.444.777-35"]);
}

#[test]
fn dates_of_birth_need_words() {
    for (text, date) in [
        ("My date of birth is 03/12/1985.", "03/12/1985"),
        ("DOB: 1985-12-03", "1985-12-03"),
        ("She was born on March 12, 1985 in Rome", "March 12, 1985"),
        ("geboren am 12. März 1985", "12. März 1985"),
        ("ich bin am 12.03.1985 geboren", "12.03.1985"),
        ("1985年3月12日に生まれました", "1985年3月12日"),
        ("née le 12 mars 1985", "12 mars 1985"),
        ("fecha de nacimiento: 12 de marzo de 1985", "12 de marzo de 1985"),
        ("doğum tarihi 12 Mart 1985", "12 Mart 1985"),
        ("data urodzenia 12.03.1985 r.", "12.03.1985"),
        ("出生日期：1985年3月12日", "1985年3月12日"),
        ("생년월일은 1985년 3월 12일", "1985년 3월 12일"),
    ] {
        assert_eq!(found(text), [format!("date_of_birth={date}")], "{text}");
        let plain = format!("The meeting is {date}");
        assert_eq!(found(&plain), [""; 0], "{plain}");
    }
    assert_eq!(found("DOB: 1985-13-32"), [""; 0]);
}

#[test]
fn addresses_are_found_in_the_ways_of_many_countries() {
    for address in [
        "123 Main Street, Springfield, IL 62704",
        "742 Evergreen Terrace",
        "123 main street",
        "5 avenue Anatole France, 75007 Paris",
        "221B Baker Street, London NW1 6XE",
        "1600 Pennsylvania Ave NW, Washington, DC 20500",
        "PO Box 123, Anytown, NY 12345",
        "12 rue de la Paix, 75002 Paris",
        "Hauptstraße 12, 10115 Berlin",
        "Keizersgracht 12, 1015 CJ Amsterdam",
        "Calle Mayor 5, 28013 Madrid",
        "Via Roma 10, 00184 Roma",
        "Rua Augusta, 1500",
        "ul. Marszałkowska 10, 00-590 Warszawa",
        "Atatürk Caddesi No: 5",
        "北京市朝阳区建国路88号",
        "東京都千代田区千代田1-1",
        "서울특별시 강남구 테헤란로 123",
    ] {
        let text = format!("My address is {address}.");
        let seen = hits(&text);
        assert!(
            seen.iter().any(|hit| {
                &*hit.signal == "pii.postal_address"
                    && hit.score >= 0.8
                    && text[hit.span.clone()].len() + 12 > address.len()
            }),
            "{address}: {:?}",
            found(&format!("My address is {address}."))
        );
    }
}

#[test]
fn scores_tell_proof_from_form() {
    let score = |text: &str| hits(text).first().map(|hit| hit.score);
    assert_eq!(score("4111111111111111"), Some(1.0));
    assert_eq!(score("536-90-4399"), Some(0.7));
    assert_eq!(score("SSN 536-90-4399"), Some(0.9));
    assert_eq!(score("my phone number is 555-0123"), Some(0.5));
    assert_eq!(score("the poison line is 1-800-222-1222"), Some(0.3));
    assert_eq!(score("742 Evergreen Terrace"), Some(0.5));
    assert_eq!(score("born on 12 March 1985"), Some(0.7));
}

#[test]
fn a_long_list_of_phone_numbers_is_found_to_its_end() {
    let numbers: Vec<String> = (0..500).map(|last| format!("+49 30 901{last:05}")).collect();
    let seen = hits(&numbers.join(", "));
    assert_eq!(seen.len(), numbers.len());
    assert_eq!((seen[0].score, seen[499].score), (1.0, 0.5));
}

#[test]
fn every_hit_is_listed_and_every_listed_kind_has_a_case() {
    let listed: Vec<_> = PII.signals().iter().map(|signal| signal.name.to_string()).collect();
    let tested = ALONE.iter().map(|case| case.0).chain(WITH_WORDS.iter().map(|case| case.0));
    let tested: Vec<_> = tested.chain(["url_credentials", "date_of_birth", "postal_address"]).collect();
    for name in listed {
        assert!(tested.contains(&&name[4..]), "{name} has no case");
    }
    for kind in &PII.kinds {
        assert!(PII.names.contains_key(kind.signal), "{} is not listed", kind.signal);
    }
}

#[test]
fn hostile_text_takes_linear_time() {
    for unit in [
        "a@",
        "1-",
        "((((",
        "7",
        "1 ",
        "1.",
        "::",
        "a1 ",
        "//:a@b.co:",
        "4111 1111 1111 1111 ",
        "ssn 1 ",
        "street 1 ",
        "dob 1/1/1",
        "<<A1",
        "+1 415 555 2671 ",
        "phone 415 555 2671 ",
        "00-1A-2B-",
        "@a.b",
        "né le ",
        "市1",
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
    let dated = plain.replace("late", "2024");
    for (name, text) in [("no digits", &plain), ("some digits", &dated)] {
        let text = &text[..2000];
        let start = Instant::now();
        for _ in 0..2000 {
            assert!(hits(text).is_empty(), "{:?}", found(text));
        }
        eprintln!("{name}: {:?} for 2 kB", start.elapsed() / 2000);
    }
    for unit in [
        "a@",
        "1-",
        "7",
        "1 ",
        "+1 415 555 2671 ",
        "phone 415 555 2671 ",
        "street 1 ",
        "4111 1111 1111 1111 ",
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
    fn spans_stand_on_character_borders_in_order(text in "\\PC{0,120}") {
        let mut end = 0;
        for hit in hits(&text) {
            prop_assert!(text.get(hit.span.clone()).is_some_and(|part| !part.is_empty()));
            prop_assert!(hit.span.start >= end && (0.0..=1.0).contains(&hit.score));
            end = hit.span.end;
        }
    }

    #[test]
    fn mixtures_of_what_is_looked_for_never_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "4111 1111 1111 1111", "@", "://", "a:b", "é", "身份证", "né le 1", "street ", "12 ", "-", ".", "(",
                "+", "0x", "DE89", "<", "::", "市", "1A", "née le ", "路", "phone ", "٣", "\u{a0}", "X", "19851203",
            ]),
            0..40,
        ),
    ) {
        let text = parts.concat();
        for hit in hits(&text) {
            prop_assert!(text.get(hit.span).is_some());
        }
    }

    #[test]
    fn what_needs_no_words_is_found_again_alone(case in prop::sample::select(ALONE), before in "[a-z ]{0,20} ", after in " [a-z ]{0,20}") {
        let text = format!("{before}{}{after}", case.1);
        for hit in hits(&text) {
            let again = hits(&text[hit.span.clone()]);
            prop_assert_eq!(&again[0].signal, &hit.signal);
            prop_assert_eq!(again[0].span.clone(), 0..hit.span.len());
        }
    }
}
