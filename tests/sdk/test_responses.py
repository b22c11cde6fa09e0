"""The Responses API through the official SDK, against a model that speaks it."""

import openai
import pytest
from harness import DEADLINE, Demur, Model, message, message_events, policy, response, say_json, send_response

ZORK = "lists: {zork: [zork]}\nrules:\n  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}\n"
CALL = {
    "id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1",
    "name": "get_weather", "arguments": '{"city": "Paris"}',
}
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
OPENING = "This is a quite harmless beginning of an answer. "


def script(handler, body):
    """Says the question again, or calls a tool when it is given one."""
    text = body["input"] if isinstance(body["input"], str) else body["input"][-1].get("output", "")
    if body.get("tools") and isinstance(body["input"], str):
        return answer(handler, body, CALL, call_events())
    return answer(handler, body, message(text), message_events(text))


def answer(handler, body, item, events):
    whole = response(item)
    return send_response(handler, whole, events) if body.get("stream") else say_json(handler, whole)


def call_events():
    at = {"item_id": "fc_1", "output_index": 0}
    yield "response.output_item.added", {"output_index": 0, "item": {**CALL, "status": "in_progress", "arguments": ""}}
    for piece in ('{"city"', ': "Paris"}'):
        yield "response.function_call_arguments.delta", {**at, "delta": piece}
    yield "response.function_call_arguments.done", {**at, "arguments": CALL["arguments"]}
    yield "response.output_item.done", {"output_index": 0, "item": CALL}


@pytest.fixture(scope="module")
def model():
    with Model(script) as model:
        yield model


@pytest.fixture(scope="module")
def client(model, tmp_path_factory):
    rules = policy(tmp_path_factory.mktemp("policy"), ZORK)
    with Demur("--upstream", model.url, "--policy", rules) as demur:
        yield demur.client()


def test_a_response(client):
    answer = client.responses.create(model="scripted", input="Good morning to you")
    assert answer.output_text == "Good morning to you"
    assert (answer.id, answer.status, answer.usage.total_tokens) == ("resp_scripted", "completed", 7)


def test_a_stream(client):
    with client.responses.stream(model="scripted", input="Good morning to you") as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert said == stream.get_final_response().output_text == "Good morning to you"


def test_a_tool_is_called_and_its_result_goes_back(client, model):
    asked = {"model": "scripted", "tools": [TOOL]}
    whole = client.responses.create(**asked, input="The weather?")
    assert whole.output[0].to_dict() == CALL
    with client.responses.stream(**asked, input="The weather?") as stream:
        pieces = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
        assert pieces == stream.get_final_response().output[0].arguments == CALL["arguments"]
    turns = [CALL, {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."}]
    assert client.responses.create(**asked, input=turns).output_text == "Sunny."
    # What no rule changed reaches the model as it was sent.
    assert model.last["input"] == turns


def test_a_tools_result_is_judged(client):
    turns = [CALL, {"type": "function_call_output", "call_id": "call_1", "output": "zork"}]
    answer = client.responses.create(model="scripted", input=turns)
    assert answer.output[0].content[1].type == "refusal"


def test_a_refused_question_is_shown_by_every_helper(client, model):
    asked = len(model.bodies)
    answer = client.responses.create(model="scripted", input="zork")
    said, refused = answer.output[0].content
    assert (said.type, refused.type) == ("output_text", "refusal")
    assert answer.output_text == said.text == refused.refusal and len(said.text) > 20
    with client.responses.stream(model="scripted", input="zork") as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == said.text
    assert kinds[0] == "response.created" and "response.refusal.done" in kinds and kinds[-1] == "response.completed"
    assert len(model.bodies) == asked


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory):
    """A client of a model whose answers begin well and end badly: in a stream, once `model.release` is set."""
    text = OPENING + "And now all about zork, which is a secret"

    def events():
        for kind, members in message_events(text):
            if members.get("delta") == "And ":
                model.release.wait(DEADLINE)
            yield kind, members

    with (
        Model(lambda handler, body: answer(handler, body, message(text), events())) as model,
        Demur("--upstream", model.url, "--policy", policy(tmp_path_factory.mktemp("policy"), ZORK)) as demur,
    ):
        yield demur.client(), model


def test_an_unsafe_answer_is_replaced(unsafe):
    client, _ = unsafe
    answer = client.responses.create(model="scripted", input="hello")
    assert "zork" not in answer.to_json() and answer.usage.total_tokens == 7
    assert answer.output[0].content[1].refusal == answer.output_text


def test_an_unsafe_stream_is_cut_and_everything_says_the_same(unsafe):
    client, model = unsafe
    events, words = [], ""
    with client.responses.stream(model="scripted", input="hello") as stream:
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta":
                words += event.delta
                if words == OPENING:
                    model.release.set()
    assert not any("zork" in event.to_json() or "secret" in event.to_json() for event in events)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    [refusal] = [event.refusal for event in events if event.type == "response.refusal.done"]
    # What was shown stays, and the reply stands on a line of its own.
    assert words == f"{OPENING}\n\n{refusal}"
    last = events[-1]
    assert last.type == "response.incomplete" and last.response.incomplete_details.reason == "content_filter"
    assert last.response.output_text == words


def test_a_card_number_is_masked_for_the_model_and_restored_for_the_user(model, tmp_path):
    rules = "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n"
    text = "Please repeat my card number: 4111 1111 1111 1111, thank you."
    with Demur("--upstream", model.url, "--policy", policy(tmp_path, rules)) as demur:
        client = demur.client()
        assert client.responses.create(model="scripted", input=text).output_text == text
        assert model.last["input"] == text.replace("4111 1111 1111 1111", "<CREDIT_CARD_1>")
        with client.responses.stream(model="scripted", input=text) as stream:
            said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            assert said == stream.get_final_response().output_text == text


def test_an_answer_in_the_background_is_refused(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="scripted", input="hi", background=True)
    assert refused.value.param == "background"


def test_the_model_inside_says_that_it_speaks_chat_only(inside):
    with pytest.raises(openai.BadRequestError) as wrong:
        inside.client().responses.create(model="demur-chat", input="What is the capital of France?")
    assert "/chat/completions" in wrong.value.message
