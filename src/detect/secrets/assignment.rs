//! Values given to names: `PASSWORD=…`, `"api_key": "…"`, `my password is …`, `Authorization: Bearer …`, and the
//! connection strings of databases.

use std::ops::Range;

use super::{
    Match,
    entropy::{entropy, is_placeholder},
    prefixed::{DOCUMENTED, is_documented},
    structured::authorization,
};

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    /// Something that a person chose: may be short.
    Password,
    /// Something that a machine made: long and random.
    Token,
    /// The header `Authorization`.
    Authorization,
    /// The `://` of a URL.
    Url,
}

/// The names, in any ASCII case. More letters, digits, `_` and `-` may follow (`SECRET_KEY_BASE`, `tokenValue`).
pub(super) const NAMES: &[(&str, Name)] = &[
    ("password", Name::Password),
    ("passwd", Name::Password),
    ("passphrase", Name::Password),
    ("passcode", Name::Password),
    ("pwd", Name::Password),
    ("passwort", Name::Password),
    ("kennwort", Name::Password),
    ("mot de passe", Name::Password),
    ("contraseña", Name::Password),
    ("senha", Name::Password),
    ("wachtwoord", Name::Password),
    ("hasło", Name::Password),
    ("şifre", Name::Password),
    ("parola", Name::Password),
    ("пароль", Name::Password),
    ("كلمة المرور", Name::Password),
    ("पासवर्ड", Name::Password),
    ("密码", Name::Password),
    ("密碼", Name::Password),
    ("パスワード", Name::Password),
    ("비밀번호", Name::Password),
    ("secret", Name::Token),
    ("token", Name::Token),
    ("api_key", Name::Token),
    ("api-key", Name::Token),
    ("apikey", Name::Token),
    ("api key", Name::Token),
    ("access_key", Name::Token),
    ("accesskey", Name::Token),
    ("auth_key", Name::Token),
    ("private_key", Name::Token),
    ("signing_key", Name::Token),
    ("encryption_key", Name::Token),
    ("credential", Name::Token),
    ("authorization", Name::Authorization),
    ("://", Name::Url),
];

/// Random values of at least this length are tokens; shorter ones may be passwords.
const LEAST_TOKEN: usize = 16;
const LEAST_PASSWORD: usize = 6;
/// The least entropy of a token and of a password, in bits per byte. Sixteen random hexadecimal digits have 3 or
/// more in all but one of a thousand cases; identifiers of that length mostly have a little over 3 too, so tokens
/// must also mix digits with letters. A password of six different signs has 2.6.
const LEAST_TOKEN_ENTROPY: f32 = 3.0;
const LEAST_PASSWORD_ENTROPY: f32 = 2.0;
/// From here on a value looks random to anyone.
const HIGH_ENTROPY: f32 = 3.5;
/// The longest rest of a name, and the longest value.
const LONGEST_NAME: usize = 32;
const LONGEST_VALUE: usize = 512;

/// Whether any name's value can be a secret here: all but headers and connection strings mix letters with digits or
/// signs, and prose has none of those but for the marks that end its sentences.
pub(super) fn may_stand_in(text: &str) -> bool {
    let finds = |sign: &str| memchr::memmem::find(text.as_bytes(), sign.as_bytes()).is_some();
    let (bytes, behind) = (text.as_bytes(), text.as_bytes().get(1..).unwrap_or_default());
    // Without a way out the loop takes many bytes at a time; the last byte ends a sentence or is a digit.
    let is_any = |any, (byte, next): (&u8, &u8)| any | byte.is_ascii_digit() | is_sign(*byte, *next);
    bytes.iter().zip(behind).fold(false, is_any)
        || bytes.last().is_some_and(u8::is_ascii_digit)
        || memchr::memchr(b':', bytes).is_some()
            && (finds("://") || finds("uthorization") || finds("UTHORIZATION"))
}

/// Whether this byte, before that one, is a sign as passwords have them and not the end of a sentence.
fn is_sign(byte: u8, next: u8) -> bool {
    let ends_sentence = matches!(byte, b'!' | b'?') & matches!(next, b' ' | b'\n');
    matches!(byte, b'!' | b'#'..=b'&' | b'*' | b'+' | b'=' | b'?' | b'@' | b'^' | b'~') & !ends_sentence
}

/// The secret that a name's value is, with its signal. `name` is where one of [`NAMES`] stands.
pub(super) fn find(text: &str, name: Range<usize>, kind: Name) -> Option<(&'static str, Match)> {
    match kind {
        Name::Url => connection(text, name).map(|found| ("secret.connection_string", found)),
        Name::Authorization => {
            let (value, at, _) = value(text, name.end, false)?;
            let line = &text[at..text.floor_char_boundary(at + 4200)];
            authorization(line.lines().next().unwrap_or(value), at)
                .map(|found| ("secret.authorization", found))
        }
        Name::Password | Name::Token => assigned(text, &name, kind),
    }
}

fn assigned(text: &str, name: &Range<usize>, kind: Name) -> Option<(&'static str, Match)> {
    let (value, at, quoted) = value(text, name.end, kind == Name::Password)?;
    let span = at..at + value.len();
    if is_aws_secret(text, name, value) {
        return Some(("secret.aws_secret_key", Match { span, score: 0.95 }));
    }
    let mut score = randomness(value, kind, quoted)?;
    if kind == Name::Token && is_documented(value) {
        score = DOCUMENTED;
    }
    if kind == Name::Password && is_ado(text, name.start, span.end) {
        return Some(("secret.connection_string", Match { span, score: 0.9 }));
    }
    Some(("secret.assignment", Match { span, score }))
}

/// How sure it is that a value is a secret and no word, template or piece of code.
fn randomness(value: &str, kind: Name, quoted: bool) -> Option<f32> {
    let digits = value.bytes().any(|byte| byte.is_ascii_digit());
    let letters = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let signs =
        value.bytes().zip(value.bytes().skip(1).chain([b'"'])).any(|(byte, next)| is_sign(byte, next));
    let bits = entropy(value.as_bytes());
    let mixed = match kind {
        Name::Password => letters && (digits || signs),
        _ => letters && digits,
    };
    let (least, least_bits) = match kind {
        Name::Password => (LEAST_PASSWORD, LEAST_PASSWORD_ENTROPY),
        _ => (LEAST_TOKEN, LEAST_TOKEN_ENTROPY),
    };
    if value.len() < least
        || !mixed
        || bits < least_bits
        || is_placeholder(value)
        || !quoted && is_code(value)
    {
        return None;
    }
    Some(if value.len() >= LEAST_TOKEN && bits >= HIGH_ENTROPY { 0.8 } else { 0.6 })
}

/// Calls, indexes, paths and members: `getenv("X")`, `os.environ[…]`, `self.token`, `/run/secrets/db`.
fn is_code(value: &str) -> bool {
    let member = value.split(['.', ':']).all(|part| {
        part.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    value.contains(['(', '[', '{'])
        || value.contains("::")
        || value.starts_with(['/', '.', '&', '*'])
        || value.contains("://")
        || member && value.contains(['.', ':'])
}

/// The value given to the name that ends at `name_end`: itself, where it starts, and whether it is quoted.
fn value(text: &str, name_end: usize, spoken: bool) -> Option<(&str, usize, bool)> {
    let window = &text[name_end..text.floor_char_boundary(name_end + LONGEST_NAME + LONGEST_VALUE + 16)];
    // `tokenizer` and `secretary` are other words; `tokens` and `tokenValue` are not.
    let plural = window.strip_prefix('s').unwrap_or(window);
    if plural.starts_with(|char: char| char.is_ascii_lowercase()) {
        return None;
    }
    let name_rest = window
        .bytes()
        .take(LONGEST_NAME)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count();
    let after_name =
        window[name_rest..].trim_start_matches(['"', '\'', '`', ']', ')']).trim_start_matches([' ', '\t']);
    let after_sign = sign_end(after_name, spoken)?;
    let after_sign = after_sign.trim_start_matches([' ', '\t']);
    let after_quote = after_sign.trim_start_matches('\\');
    let quote = after_quote.chars().next().filter(|char| matches!(char, '"' | '\'' | '`'));
    let (body, value) = match quote {
        Some(quote) => {
            let body = &after_quote[1..];
            (body, &body[..body.find([quote, '\n', '\\'])?])
        }
        None => (after_sign, unquoted(after_sign)),
    };
    let at = name_end + window.len() - body.len();
    (!value.is_empty() && value.len() <= LONGEST_VALUE).then_some((value, at, quote.is_some()))
}

/// What follows the sign that gives a name its value: `=`, `:`, `:=`, `=>`, full-width ones, and for passwords also
/// "is" in some languages.
fn sign_end(text: &str, spoken: bool) -> Option<&str> {
    const SIGNS: [&str; 6] = [":=", "=>", "=", ":", "：", "＝"];
    const SPOKEN: [&str; 12] =
        ["is ", "was ", "ist ", "lautet ", "est ", "es ", "è ", "é ", "to ", "是", "は", "为"];
    SIGNS
        .iter()
        .find_map(|sign| text.strip_prefix(sign))
        .filter(|rest| !rest.starts_with(['=', '/']))
        .or_else(|| SPOKEN.iter().filter(|_| spoken).find_map(|word| text.strip_prefix(word)))
        .map(|rest| rest.trim_start_matches([':', ' ']))
}

/// A value without quotes ends at a space, a bracket, a comma or a semicolon, and loses a sentence's end.
fn unquoted(text: &str) -> &str {
    let end =
        text.find(|char: char| char.is_whitespace() || ",;\"'`<>)]}|，。；、".contains(char) && char != '<');
    text[..end.unwrap_or(text.len())].trim_end_matches(['.', '!', '?', ':'])
}

/// Forty signs of Base64 given to a name that says AWS and secret (AWS, IAM identifiers).
fn is_aws_secret(text: &str, name: &Range<usize>, value: &str) -> bool {
    let start = text.floor_char_boundary(name.start.saturating_sub(24));
    let around = text[start..text.floor_char_boundary(name.end + 24)].to_ascii_lowercase();
    is_aws_value(value) && around.contains("aws") && (around.contains("secret") || around.contains("access"))
}

/// Whether a value has the length, alphabet and mixture of a secret access key.
pub(super) fn is_aws_value(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(test);
    value.len() == 40
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
        && entropy(value.as_bytes()) >= 4.0
}

/// Whether `Password=` stands in a list of `key=value;` that names a server, as ADO.NET and ODBC write it.
fn is_ado(text: &str, start: usize, end: usize) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(200));
    let to = text.floor_char_boundary(end + 200);
    let before = text[from..start].trim_end_matches(' ').ends_with(';');
    if !before && !text[end..].starts_with(';') {
        return false;
    }
    let around = text[from..to].to_ascii_lowercase();
    ["server=", "data source=", "host=", "datasource="].iter().any(|key| around.contains(key))
}

/// A URL of a database or a broker with a password in it, whole (RFC 3986; the vendors' connection URI formats).
fn connection(text: &str, sign: Range<usize>) -> Option<Match> {
    const SCHEMES: [&str; 18] = [
        "postgres",
        "postgresql",
        "mysql",
        "mariadb",
        "mongodb",
        "mongodb+srv",
        "redis",
        "rediss",
        "amqp",
        "amqps",
        "sqlserver",
        "mssql",
        "oracle",
        "clickhouse",
        "cockroachdb",
        "neo4j",
        "bolt",
        "snowflake",
    ];
    let bytes = text.as_bytes();
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+';
    let scheme = bytes[..sign.start].iter().rev().take(48).take_while(|byte| is_scheme(byte)).count();
    let start = sign.start - scheme;
    let name = text[start..sign.start].to_ascii_lowercase();
    let base = if name.starts_with("mongodb") { &name[..] } else { name.split('+').next().unwrap_or(&name) };
    if !SCHEMES.contains(&base) {
        return None;
    }
    let rest = &text[sign.end..text.floor_char_boundary(sign.end + LONGEST_VALUE)];
    let url = &rest
        [..rest.find(|char: char| char.is_whitespace() || "\"'`<>)".contains(char)).unwrap_or(rest.len())];
    let url = url.trim_end_matches(['.', ',', ';']);
    let authority = url.split(['/', '?']).next().unwrap_or(url);
    // A password may itself hold a slash; then the sign that ends it stands further on.
    let authority = if authority.contains('@') { authority } else { url };
    let (user, _) = authority.rsplit_once('@')?;
    let (user, password) = user.split_once(':')?;
    let real = !is_placeholder(password) && !password.eq_ignore_ascii_case(user);
    real.then_some(Match { span: start..sign.end + url.len(), score: 1.0 })
}
