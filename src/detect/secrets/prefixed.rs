//! Tokens that start with a registered prefix: which body follows, and which checksum it carries.
//!
//! Sources: the vendors' own documentation of their formats, as GitHub's secret scanning partners, GitLab's token
//! overview and the open rule sets of gitleaks and detect-secrets collect them.

use std::ops::RangeInclusive;

use super::{
    Match,
    entropy::{entropy, has_run},
};

/// What a body is made of.
#[derive(Clone, Copy)]
enum Body {
    /// Letters and digits.
    Alnum,
    /// Capitals and digits.
    Upper,
    /// Hexadecimal digits.
    Hex,
    /// Letters, digits, `_` and `-`.
    Url,
    /// The same and `.`.
    Dotted,
    /// Letters, digits, `+`, `/`, `_`, `-` and `=`.
    Base64,
    /// Letters, digits and `$`.
    Dollar,
}

impl Body {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => Self::Url.has(byte) || byte == b'.',
            Self::Base64 => Self::Url.has(byte) || matches!(byte, b'+' | b'/' | b'='),
            Self::Dollar => byte.is_ascii_alphanumeric() || byte == b'$',
        }
    }
}

/// A prefix, the body after it and how long that is.
pub(super) struct Rule {
    pub(super) signal: &'static str,
    pub(super) prefix: &'static str,
    body: Body,
    lengths: RangeInclusive<usize>,
}

const fn rule(signal: &'static str, prefix: &'static str, body: Body, least: usize, most: usize) -> Rule {
    Rule { signal, prefix, body, lengths: least..=most }
}

use Body::{Alnum, Base64, Dollar, Dotted, Hex, Upper, Url};

/// Every prefix. The longest one that fits at a place is taken.
pub(super) const RULES: &[Rule] = &[
    rule("secret.aws_access_key", "AKIA", Upper, 16, 16),
    rule("secret.aws_access_key", "ASIA", Upper, 16, 16),
    rule("secret.aws_access_key", "ABIA", Upper, 16, 16),
    rule("secret.aws_access_key", "ACCA", Upper, 16, 16),
    rule("secret.gcp_api_key", "AIza", Url, 35, 35),
    rule("secret.gcp_oauth_token", "ya29.", Url, 30, 2048),
    rule("secret.gcp_oauth_token", "GOCSPX-", Url, 28, 28),
    rule("secret.azure_storage_key", "AccountKey=", Base64, 44, 88),
    rule("secret.azure_storage_key", "SharedAccessKey=", Base64, 44, 44),
    rule("secret.cloud_token", "dop_v1_", Hex, 64, 64),
    rule("secret.cloud_token", "doo_v1_", Hex, 64, 64),
    rule("secret.cloud_token", "dor_v1_", Hex, 64, 64),
    rule("secret.cloud_token", "LTAI", Alnum, 12, 20),
    rule("secret.cloud_token", "AKID", Alnum, 32, 32),
    rule("secret.cloud_token", "dapi", Hex, 32, 32),
    rule("secret.cloud_token", "hvs.", Url, 24, 200),
    rule("secret.cloud_token", "hvb.", Url, 24, 300),
    rule("secret.cloud_token", "HRKU-", Url, 36, 64),
    rule("secret.cloud_token", "sbp_", Hex, 40, 40),
    rule("secret.cloud_token", "pul-", Hex, 40, 40),
    rule("secret.cloud_token", "nfp_", Alnum, 36, 36),
    rule("secret.cloud_token", "pscale_tkn_", Dotted, 32, 64),
    rule("secret.cloud_token", "pscale_pw_", Dotted, 32, 64),
    rule("secret.cloud_token", "dp.pt.", Alnum, 43, 43),
    rule("secret.cloud_token", "dp.st.", Dotted, 40, 80),
    rule("secret.github_token", "ghp_", Alnum, 36, 36),
    rule("secret.github_token", "gho_", Alnum, 36, 36),
    rule("secret.github_token", "ghu_", Alnum, 36, 36),
    rule("secret.github_token", "ghs_", Alnum, 36, 36),
    rule("secret.github_token", "ghr_", Alnum, 36, 76),
    rule("secret.github_token", "github_pat_", Url, 82, 82),
    rule("secret.gitlab_token", "glpat-", Dotted, 20, 300),
    rule("secret.gitlab_token", "gldt-", Url, 20, 64),
    rule("secret.gitlab_token", "glrt-", Dotted, 20, 64),
    rule("secret.gitlab_token", "glcbt-", Url, 20, 64),
    rule("secret.gitlab_token", "glptt-", Hex, 40, 40),
    rule("secret.gitlab_token", "glft-", Url, 20, 64),
    rule("secret.gitlab_token", "glsoat-", Url, 20, 64),
    rule("secret.gitlab_token", "glagent-", Url, 50, 64),
    rule("secret.npm_token", "npm_", Alnum, 36, 36),
    rule("secret.pypi_token", "pypi-AgEIcHlwaS5vcmc", Url, 50, 1000),
    rule("secret.pypi_token", "pypi-AgENdGVzdC5weXBpLm9yZw", Url, 50, 1000),
    rule("secret.registry_token", "rubygems_", Hex, 48, 48),
    rule("secret.registry_token", "cio", Alnum, 32, 32),
    rule("secret.registry_token", "dckr_pat_", Url, 27, 36),
    rule("secret.registry_token", "dckr_oat_", Url, 27, 36),
    rule("secret.registry_token", "oy2", Alnum, 43, 43),
    rule("secret.slack_token", "xoxb-", Url, 20, 120),
    rule("secret.slack_token", "xoxp-", Url, 20, 120),
    rule("secret.slack_token", "xoxa-", Url, 20, 120),
    rule("secret.slack_token", "xoxr-", Url, 20, 120),
    rule("secret.slack_token", "xoxs-", Url, 20, 120),
    rule("secret.slack_token", "xoxe-", Url, 20, 200),
    rule("secret.slack_token", "xoxe.xox", Dotted, 20, 250),
    rule("secret.slack_token", "xapp-", Url, 20, 150),
    rule("secret.twilio_key", "SK", Hex, 32, 32),
    rule("secret.mail_token", "SG.", Dotted, 66, 66),
    rule("secret.mail_token", "key-", Hex, 32, 32),
    rule("secret.mail_token", "xkeysib-", Url, 81, 81),
    rule("secret.mail_token", "re_", Url, 32, 36),
    rule("secret.stripe_key", "sk_live_", Alnum, 16, 247),
    rule("secret.stripe_key", "rk_live_", Alnum, 16, 247),
    rule("secret.stripe_key", "sk_test_", Alnum, 16, 247),
    rule("secret.stripe_key", "rk_test_", Alnum, 16, 247),
    rule("secret.stripe_key", "whsec_", Base64, 24, 64),
    rule("secret.paypal_token", "A21AA", Url, 80, 120),
    rule("secret.paypal_token", "access_token$production$", Dollar, 49, 49),
    rule("secret.square_token", "sq0atp-", Url, 22, 22),
    rule("secret.square_token", "sq0csp-", Url, 43, 43),
    rule("secret.square_token", "sq0idp-", Url, 22, 22),
    rule("secret.square_token", "EAAA", Url, 60, 60),
    rule("secret.shop_token", "shpat_", Hex, 32, 32),
    rule("secret.shop_token", "shpca_", Hex, 32, 32),
    rule("secret.shop_token", "shppa_", Hex, 32, 32),
    rule("secret.shop_token", "shpss_", Hex, 32, 32),
    rule("secret.shop_token", "rzp_live_", Alnum, 14, 14),
    rule("secret.openai_key", "sk-", Alnum, 32, 64),
    rule("secret.openai_key", "sk-proj-", Url, 40, 200),
    rule("secret.openai_key", "sk-svcacct-", Url, 40, 200),
    rule("secret.openai_key", "sk-admin-", Url, 40, 200),
    rule("secret.openai_key", "sk-None-", Url, 40, 200),
    rule("secret.anthropic_key", "sk-ant-", Url, 40, 200),
    rule("secret.huggingface_token", "hf_", Alnum, 30, 40),
    rule("secret.huggingface_token", "api_org_", Alnum, 30, 40),
    rule("secret.other_llm_key", "sk-or-v1-", Hex, 64, 64),
    rule("secret.other_llm_key", "gsk_", Alnum, 48, 60),
    rule("secret.other_llm_key", "r8_", Alnum, 37, 37),
    rule("secret.other_llm_key", "pplx-", Alnum, 40, 64),
    rule("secret.other_llm_key", "xai-", Alnum, 70, 90),
    rule("secret.other_llm_key", "nvapi-", Url, 60, 72),
    rule("secret.other_llm_key", "tgp_v1_", Url, 40, 48),
    rule("secret.other_llm_key", "csk-", Alnum, 40, 60),
    rule("secret.other_llm_key", "pcsk_", Url, 60, 90),
    rule("secret.other_llm_key", "lsv2_pt_", Url, 40, 50),
    rule("secret.other_llm_key", "lsv2_sk_", Url, 40, 50),
    rule("secret.other_llm_key", "sk_", Hex, 48, 48),
    rule("secret.other_llm_key", "jina_", Url, 60, 70),
    rule("secret.other_llm_key", "tvly-", Url, 30, 50),
    rule("secret.saas_token", "sntrys_", Base64, 40, 300),
    rule("secret.saas_token", "sntryu_", Hex, 64, 64),
    rule("secret.saas_token", "glsa_", Url, 41, 41),
    rule("secret.saas_token", "glc_", Base64, 32, 400),
    rule("secret.saas_token", "lin_api_", Alnum, 40, 40),
    rule("secret.saas_token", "ntn_", Alnum, 46, 46),
    rule("secret.saas_token", "figd_", Url, 40, 50),
    rule("secret.saas_token", "PMAK-", Url, 59, 59),
    rule("secret.saas_token", "NRAK-", Upper, 27, 27),
    rule("secret.saas_token", "ATATT3", Base64, 100, 250),
    rule("secret.saas_token", "ATCTT3", Base64, 100, 250),
    rule("secret.saas_token", "pat-na1-", Url, 36, 36),
    rule("secret.saas_token", "pat-eu1-", Url, 36, 36),
    rule("secret.saas_token", "sk.eyJ", Dotted, 60, 200),
    rule("secret.saas_token", "CFPAT-", Url, 43, 43),
    rule("secret.saas_token", "tfp_", Url, 40, 64),
    rule("secret.saas_token", "shippo_live_", Hex, 40, 40),
    rule("secret.saas_token", "EZAK", Alnum, 54, 54),
    rule("secret.private_key", "AGE-SECRET-KEY-1", Upper, 58, 58),
];

/// Bodies less random than this, in bits per byte, are placeholders such as a row of x.
const LEAST_ENTROPY: f32 = 2.5;
/// What a key is worth that was made up for documentation.
pub(super) const DOCUMENTED: f32 = 0.3;

impl Rule {
    /// The fewest bytes of such a token.
    #[cfg(test)]
    pub(super) fn shortest(&self) -> usize {
        self.prefix.len() + self.lengths.start()
    }

    /// The token whose prefix ends at `body_at`, with its score.
    pub(super) fn find(&self, text: &str, body_at: usize) -> Option<Match> {
        let bytes = text.as_bytes();
        let start = body_at - self.prefix.len();
        if bytes[..start].last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return None;
        }
        let most = (body_at + self.lengths.end() + 1).min(bytes.len());
        let mut end = body_at + bytes[body_at..most].iter().take_while(|byte| self.body.has(**byte)).count();
        // The stop or hyphen that follows belongs to the sentence.
        while matches!(bytes[end - 1], b'.' | b'-') && end > body_at {
            end -= 1;
        }
        let body = &text[body_at..end];
        if !self.lengths.contains(&body.len()) || entropy(body.as_bytes()) < LEAST_ENTROPY {
            return None;
        }
        // A long name in words is no key.
        let has_digit = body.bytes().any(|byte| byte.is_ascii_digit());
        if !has_digit && body.len() < 40 && !matches!(self.body, Body::Upper) {
            return None;
        }
        let score = if is_documented(body) { DOCUMENTED } else { self.score(body) };
        Some(Match { span: start..end, score })
    }

    fn score(&self, body: &str) -> f32 {
        match self.signal {
            "secret.github_token" | "secret.npm_token" if body.len() == 36 => {
                if has_crc(body) {
                    1.0
                } else {
                    0.8
                }
            }
            // The Base64 of "OpenAI" stands in the middle of its keys.
            "secret.openai_key" if body.contains("T3BlbkFJ") => 1.0,
            "secret.stripe_key" if self.prefix.contains("test") => 0.6,
            _ => 0.9,
        }
    }
}

/// Whether a key was made up for documentation: it says so, or counts.
pub(super) fn is_documented(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    ["example", "xxxx", "your", "placeholder"].iter().any(|mark| lower.contains(mark))
        || has_run(lower.as_bytes())
}

/// Whether the last six of 36 signs are the CRC-32 of the others in Base62, as in GitHub's and npm's tokens (GitHub
/// engineering blog, "Behind GitHub's new authentication token formats", 2021).
fn has_crc(body: &str) -> bool {
    const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (random, check) = body.split_at(30);
    let mut rest = crc32fast::hash(random.as_bytes());
    let mut expected = [b'0'; 6];
    for sign in expected.iter_mut().rev() {
        *sign = SIGNS[(rest % 62) as usize];
        rest /= 62;
    }
    check.as_bytes() == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_seen() {
        assert!(has_crc("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"));
        assert!(!has_crc("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"));
    }

    #[test]
    fn no_prefix_is_listed_twice() {
        let mut prefixes: Vec<_> = RULES.iter().map(|rule| rule.prefix).collect();
        prefixes.sort_unstable();
        assert!(prefixes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
