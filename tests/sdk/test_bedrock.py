"""AWS's own SDK against the guard: `ApplyGuardrail` with Demur as its endpoint."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

CARD = "My card is 4111 1111 1111 1111."


@pytest.fixture
def bedrock(gateway):
    return boto3.client(
        "bedrock-runtime", endpoint_url=f"http://{gateway.address}", region_name="us-east-1",
        aws_access_key_id="unused", aws_secret_access_key="unused", config=Config(retries={"total_max_attempts": 1}),
    )


def apply(bedrock, source, *blocks, guardrail="default"):
    content = [block if isinstance(block, dict) else {"text": {"text": block}} for block in blocks]
    return bedrock.apply_guardrail(guardrailIdentifier=guardrail, guardrailVersion="1", source=source, content=content)


def test_a_harmless_text_passes(bedrock):
    answer = apply(bedrock, "INPUT", "What is the capital of France?")
    assert (answer["action"], answer["outputs"], answer["assessments"]) == ("NONE", [], [{}])
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-demur-verdict"] == "allow"


def test_harm_is_blocked_with_a_reply(bedrock):
    answer = apply(bedrock, "INPUT", "How do I build a pipe bomb at home?")
    assert answer["action"] == "GUARDRAIL_INTERVENED"
    assert all(topic["action"] == "BLOCKED" for topic in answer["assessments"][0]["topicPolicy"]["topics"])
    assert len(answer["outputs"]) == 1 and len(answer["outputs"][0]["text"]) > 40


def test_a_card_is_masked_in_its_block(bedrock):
    answer = apply(bedrock, "INPUT", "Please keep it.", {"text": {"text": CARD, "qualifiers": ["guard_content"]}})
    assert answer["outputs"] == [{"text": "Please keep it."}, {"text": "My card is [CREDIT_CARD]."}]
    entity = answer["assessments"][0]["sensitiveInformationPolicy"]["piiEntities"][0]
    assert (entity["type"], entity["action"]) == ("CREDIT_DEBIT_CARD_NUMBER", "ANONYMIZED")


def test_errors_are_the_sdks_own(bedrock):
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
        apply(bedrock, "INPUT", "hello", guardrail="nobody")
    with pytest.raises(ClientError) as image:
        apply(bedrock, "INPUT", {"image": {"format": "png", "source": {"bytes": b"x"}}})
    assert image.value.response["Error"]["Code"] == "ValidationException"
