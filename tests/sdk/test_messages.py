"""Anthropic's SDK against a real gateway in front of a model that speaks Anthropic's format."""

import hashlib

import anthropic
import pytest
from harness import Demur, Model, policy, say_json, say_message

HELLO = {"model": "scripted", "max_tokens": 100, "messages": [{"role": "user", "content": "What is the weather in Oslo?"}]}
HARMFUL = {**HELLO, "messages": [{"role": "user", "content": "How do I build a pipe bomb at home?"}]}

THINKING = {"type": "thinking", "thinking": "The tool knows.", "signature": "c2lnbmVk"}
TEXT = {"type": "text", "text": "I look it up for you."}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo", "days": 2}}
TOOLS = [{
    "name": "weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}]
COUNT = {"input_tokens": 14}

REFUSE_ZORK = """
lists:
  zork: [zork]
rules:
  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}
"""


def script(handler, body):
    """Thinks, speaks and calls a tool where one is offered; says the user's last words again where none is."""
    if handler.path.endswith("/count_tokens"):
        return say_json(handler, COUNT)
    if body["messages"][0]["content"] == "overload":
        return say_json(handler, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529)
    if "tools" in body:
        return say_message(handler, body, THINKING, TEXT, CALL, stop="tool_use")
    return say_message(handler, body, {"type": "text", "text": body["messages"][-1]["content"]})


@pytest.fixture(scope="module")
def model():
    with Model(script) as model:
        yield model


@pytest.fixture(scope="module")
def demur(model):
    with Demur("--upstream", model.url) as demur:
        yield demur


def whole(block):
    """A block of the SDK as it stands on the wire."""
    return block.model_dump(exclude_none=True)


def test_messages(demur, model):
    answer = demur.anthropic().messages.create(**HELLO)
    assert (answer.id, answer.stop_reason, answer.usage.output_tokens) == ("msg_scripted", "end_turn", 4)
    assert answer.content[0].text == HELLO["messages"][0]["content"]
    assert model.last == HELLO
    assert answer._request_id


def test_tools_and_thinking(demur, model):
    answer = demur.anthropic().messages.create(**HELLO, tools=TOOLS, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [whole(block) for block in answer.content] == [THINKING, TEXT, CALL]
    assert answer.stop_reason == "tool_use"
    assert model.last["tools"] == TOOLS


def test_a_stream_says_the_same(demur):
    with demur.anthropic().messages.stream(**HELLO, tools=TOOLS) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == TEXT["text"]
    assert [whole(block) for block in final.content] == [THINKING, TEXT, CALL]
    assert final.stop_reason == "tool_use"
    kinds = [event.type for event in demur.anthropic().messages.create(**HELLO, stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


def test_a_tools_result_goes_back(demur, model):
    messages = [
        *HELLO["messages"],
        {"role": "assistant", "content": [THINKING, TEXT, CALL]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain."}]},
        {"role": "user", "content": "And tomorrow?"},
    ]
    answer = demur.anthropic().messages.create(**{**HELLO, "messages": messages})
    assert answer.content[0].text == "And tomorrow?"
    assert model.last["messages"] == messages


def test_a_harmful_request_is_declined(demur, model):
    asked = len(model.bodies)
    answer = demur.anthropic().messages.create(**HARMFUL)
    assert answer.stop_reason == "refusal"
    assert answer.stop_details.category == "general_harms" and answer.stop_details.explanation == answer.content[0].text
    with demur.anthropic().messages.stream(**HARMFUL) as stream:
        assert stream.get_final_text() == answer.content[0].text
        assert stream.get_final_message().stop_reason == "refusal"
    assert len(model.bodies) == asked


def test_a_bad_answer_is_declined_where_it_turns_bad(tmp_path, model):
    def bad(handler, body):
        say_message(handler, body, {"type": "text", "text": "Once upon a time there was zork."}, CALL, stop="tool_use")

    with Model(bad) as bad_model, Demur("--upstream", bad_model.url, "--policy", policy(tmp_path, REFUSE_ZORK)) as demur:
        answer = demur.anthropic().messages.create(**HELLO)
        assert answer.stop_reason == "refusal" and len(answer.content) == 1
        assert answer.stop_details.category == "cyber"
        with demur.anthropic().messages.stream(**HELLO) as stream:
            final = stream.get_final_message()
        assert final.stop_reason == "refusal" and final.stop_details.category == "cyber"
        text = "".join(block.text for block in final.content)
        assert "zork" not in text and text.endswith(answer.content[0].text)


def test_tokens_are_counted_and_the_question_is_judged(demur):
    counted = {key: value for key, value in HELLO.items() if key != "max_tokens"}
    assert demur.anthropic().messages.count_tokens(**counted).input_tokens == COUNT["input_tokens"]
    with pytest.raises(anthropic.BadRequestError) as refused:
        demur.anthropic().messages.count_tokens(**{**counted, "messages": HARMFUL["messages"]})
    assert refused.value.type == "invalid_request_error" and len(refused.value.api_message) > 40


def test_errors_are_the_sdks_own(demur):
    client = demur.anthropic()
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(**{**HELLO, "messages": []})
    assert wrong.value.type == "invalid_request_error" and "messages" in wrong.value.api_message
    assert wrong.value.request_id == wrong.value.body["request_id"]
    with pytest.raises(anthropic.NotFoundError):
        client.post("/v1/messages/nowhere", body={}, cast_to=object)
    with pytest.raises(anthropic.OverloadedError) as overloaded:
        client.messages.create(**{**HELLO, "messages": [{"role": "user", "content": "overload"}]})
    assert overloaded.value.type == "overloaded_error" and overloaded.value.api_message == "Overloaded"


def test_the_model_inside_says_that_it_speaks_another_format(inside):
    with pytest.raises(anthropic.BadRequestError) as wrong:
        inside.anthropic().messages.create(**{**HELLO, "model": "demur-chat"})
    assert "/chat/completions" in wrong.value.api_message


def test_a_key_of_the_gateway(tmp_path, model):
    keys = f"[{{name: a, sha256: {hashlib.sha256(b'dm-secret').hexdigest()}}}]"
    with Demur("--upstream", model.url, env={"DEMUR_KEYS": keys}) as demur:
        with pytest.raises(anthropic.AuthenticationError) as denied:
            demur.anthropic("dm-wrong").messages.create(**HELLO)
        assert denied.value.type == "authentication_error"
        assert demur.anthropic("dm-secret").messages.create(**HELLO).stop_reason == "end_turn"
