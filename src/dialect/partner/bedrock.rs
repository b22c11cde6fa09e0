//! Amazon Bedrock's `ApplyGuardrail` (`POST /guardrail/{identifier}/version/{version}/apply`): the identifier, or the
//! last part of an ARN, is a policy's name; every version is the one that is loaded.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Answer, Outcome, Partner, Problem, list, member, not_judged, object, string, strings, wrong};
use crate::{
    dialect::{BadBody, lens::Lens},
    message::{Direction, Exchange, Place, Role},
    verdict::Hazard,
};

/// One call of `ApplyGuardrail`.
#[derive(Debug)]
pub struct ApplyGuardrail {
    guardrail: String,
    body: Value,
    exchange: Exchange,
}

impl ApplyGuardrail {
    /// Reads a body for the guardrail that the path names.
    ///
    /// # Errors
    /// Which field is wrong, or holds an image.
    pub fn parse(body: &[u8], guardrail: &str) -> Result<Self, BadBody> {
        let body = object(body)?;
        let direction = match string(&body, "source")? {
            "INPUT" => Direction::Input,
            "OUTPUT" => Direction::Output,
            _ => return Err(wrong("source", "`INPUT` or `OUTPUT`", body.get("source"))),
        };
        if !body["content"].is_array() {
            return Err(wrong("content", "an array of blocks", body.get("content")));
        }
        let (mut judged, mut context) = (Lens::new(direction), Lens::new(Direction::Input));
        for (i, block) in list(&body, "content")?.iter().enumerate() {
            let at = format!("content[{i}].text");
            if member(block, "image").is_some() {
                return Err(not_judged(&format!("content[{i}].image")));
            }
            let Some(text) = member(block, "text") else { return Err(wrong(&at, "an object", None)) };
            if !text["text"].is_string() {
                return Err(wrong(&format!("{at}.text"), "a string", text.get("text")));
            }
            let qualifiers = strings(text, "qualifiers")?;
            let grounds = qualifiers.contains(&"grounding_source");
            let asks = qualifiers.contains(&"query");
            let place = if grounds { Place::Document } else { Place::Content };
            // What an answer is held against is no part of it; `guard_content` is.
            let around =
                direction == Direction::Output && (grounds || asks) && !qualifiers.contains(&"guard_content");
            let role = match (grounds, around || direction == Direction::Input) {
                (true, _) => Role::Tool,
                (false, true) => Role::User,
                (false, false) => Role::Assistant,
            };
            let lens = if around { &mut context } else { &mut judged };
            lens.text(&text["text"], format!("/content/{i}/text/text"), role, place);
        }
        let (segments, context) = (judged.finish().into(), context.finish().into());
        let guardrail = guardrail.rsplit('/').next().unwrap_or(guardrail).to_owned();
        Ok(Self {
            guardrail,
            body,
            exchange: Exchange { direction, segments, context, caller: None, media: 0 },
        })
    }

    /// The texts of all blocks, in their order.
    fn outputs(&self, outcome: &Outcome) -> Option<Value> {
        let changed = outcome.written_back(&self.body, |_| true)?;
        let blocks = changed["content"].as_array().into_iter().flatten();
        Some(blocks.map(|block| json!({"text": block["text"]["text"]})).collect())
    }

    /// How much of what was sent was judged, in characters.
    fn coverage(&self) -> Value {
        let blocks = self.body["content"].as_array().into_iter().flatten();
        let total: usize =
            blocks.filter_map(|block| block["text"]["text"].as_str()).map(|text| text.chars().count()).sum();
        let guarded: usize = self.exchange.segments.iter().map(|segment| segment.text.chars().count()).sum();
        json!({"textCharacters": {"guarded": guarded, "total": total}})
    }
}

impl Partner for ApplyGuardrail {
    fn policy(&self) -> Option<&str> {
        Some(&self.guardrail)
    }

    fn exchanges(&self) -> Vec<Exchange> {
        vec![self.exchange.clone()]
    }

    fn answer(&self, outcomes: &[Outcome]) -> Answer {
        let Some(outcome) = outcomes.first() else {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", "nothing was judged");
        };
        let (action, reason, outputs) = if outcome.refused() {
            ("GUARDRAIL_INTERVENED", "Guardrail blocked.", json!([{"text": outcome.reply()}]))
        } else if let Some(outputs) = self.outputs(outcome).filter(|_| !outcome.masked.is_empty()) {
            ("GUARDRAIL_INTERVENED", "Guardrail masked.", outputs)
        } else {
            ("NONE", "No action.", json!([]))
        };
        Answer::ok(&json!({
            "action": action,
            "actionReason": reason,
            "outputs": outputs,
            "assessments": [assessment(outcome)],
            // What AWS bills for; nothing is billed here.
            "usage": {
                "topicPolicyUnits": 0, "contentPolicyUnits": 0, "wordPolicyUnits": 0,
                "sensitiveInformationPolicyUnits": 0, "sensitiveInformationPolicyFreeUnits": 0,
                "contextualGroundingPolicyUnits": 0,
            },
            "guardrailCoverage": self.coverage(),
        }))
    }

    fn error(problem: &Problem) -> Answer {
        match problem {
            Problem::Malformed(bad) => error(StatusCode::BAD_REQUEST, "ValidationException", &bad.message),
            Problem::UnknownPolicy(..) => {
                error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &problem.to_string())
            }
        }
    }
}

fn error(status: StatusCode, kind: &'static str, message: &str) -> Answer {
    Answer { error_type: Some(kind), ..Answer::json(status, &json!({"message": message})) }
}

/// What was found, in AWS's words: every rule that refuses is a denied topic, and a content filter where AWS has one.
fn assessment(outcome: &Outcome) -> Value {
    let mut assessment = Map::new();
    let topic = |rule: &str| json!({"name": rule, "type": "DENY", "action": "BLOCKED", "detected": true});
    let topics: Vec<Value> = outcome.refusals().map(|hit| topic(&hit.rule)).collect();
    if !topics.is_empty() {
        assessment.insert("topicPolicy".to_owned(), json!({"topics": topics}));
    }
    let mut filters: Vec<&str> = Vec::new();
    for hit in outcome.refusals() {
        let attack = matches!(hit.reply.as_deref(), Some("jailbreak" | "injection"));
        let filter = if attack { Some("PROMPT_ATTACK") } else { hit.hazard.and_then(content_filter) };
        filters.extend(filter.filter(|filter| !filters.contains(filter)));
    }
    if !filters.is_empty() {
        let filter =
            |kind: &&str| json!({"type": kind, "confidence": "HIGH", "action": "BLOCKED", "detected": true});
        let filters: Vec<Value> = filters.iter().map(filter).collect();
        assessment.insert("contentPolicy".to_owned(), json!({"filters": filters}));
    }
    let (mut entities, mut regexes) = (Vec::new(), Vec::new());
    for (redaction, found) in outcome.redactions() {
        let mut entity = json!({"match": found, "action": "ANONYMIZED", "detected": true});
        if let Some(kind) = pii_entity(&redaction.signal) {
            entity["type"] = kind.into();
            entities.push(entity);
        } else {
            entity["name"] = (*redaction.signal).into();
            regexes.push(entity);
        }
    }
    if !entities.is_empty() || !regexes.is_empty() {
        let found = json!({"piiEntities": entities, "regexes": regexes});
        assessment.insert("sensitiveInformationPolicy".to_owned(), found);
    }
    Value::Object(assessment)
}

fn content_filter(hazard: Hazard) -> Option<&'static str> {
    Some(match hazard {
        Hazard::Hate => "HATE",
        Hazard::Harassment | Hazard::Defamation => "INSULTS",
        Hazard::SexualContent | Hazard::SexRelatedCrimes | Hazard::ChildSexualExploitation => "SEXUAL",
        Hazard::ViolentCrimes
        | Hazard::IndiscriminateWeapons
        | Hazard::GraphicViolence
        | Hazard::SuicideSelfHarm => "VIOLENCE",
        Hazard::NonviolentCrimes | Hazard::Cyber => "MISCONDUCT",
        Hazard::SpecializedAdvice
        | Hazard::Privacy
        | Hazard::IntellectualProperty
        | Hazard::ElectionsMisinformation => return None,
    })
}

/// AWS's name of a kind of personal data; the others are told by their signal, as a custom expression would be.
fn pii_entity(signal: &str) -> Option<&'static str> {
    Some(match signal {
        "pii.email" => "EMAIL",
        "pii.phone" => "PHONE",
        "pii.credit_card" => "CREDIT_DEBIT_CARD_NUMBER",
        "pii.iban" => "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
        "pii.ip_address" => "IP_ADDRESS",
        "pii.mac_address" => "MAC_ADDRESS",
        "pii.postal_address" => "ADDRESS",
        "pii.us_ssn" => "US_SOCIAL_SECURITY_NUMBER",
        "pii.us_itin" => "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER",
        "pii.ca_sin" => "CA_SOCIAL_INSURANCE_NUMBER",
        "pii.gb_nhs" => "UK_NATIONAL_HEALTH_SERVICE_NUMBER",
        "pii.gb_nino" => "UK_NATIONAL_INSURANCE_NUMBER",
        _ => return None,
    })
}
