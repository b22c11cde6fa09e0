"""The official SDK's legacy completions and embeddings against a real gateway in front of a scripted model."""

import json
import re

import openai
import pytest
from harness import Demur, Model, begin_stream, end_stream, policy, say_json, send_event

REFUSE = """
lists: {zork: [zork]}
rules:
  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}
"""


def completion(choices):
    return {"id": "cmpl-scripted", "object": "text_completion", "created": 1, "model": "scripted", "choices": choices,
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}


def choice(index, text, finish):
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def echo(handler, body):
    """Says each prompt again, `n` times; embeds each input as its length."""
    if handler.path.endswith("/embeddings"):
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": i, "embedding": [float(len(text)), 0.5]} for i, text in enumerate(inputs)]
        return say_json(handler, {"object": "list", "data": data, "model": "scripted", "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    texts = [text for text in prompts for _ in range(body.get("n") or 1)]
    if not body.get("stream"):
        return say_json(handler, completion([choice(i, text, "stop") for i, text in enumerate(texts)]))
    begin_stream(handler)
    chunk = completion([])
    del chunk["usage"]
    for i, text in enumerate(texts):
        for word in re.findall(r"\S+\s*", text):
            send_event(handler, json.dumps({**chunk, "choices": [choice(i, word, None)]}))
        send_event(handler, json.dumps({**chunk, "choices": [choice(i, "", "stop")]}))
    end_stream(handler)


@pytest.fixture(scope="module")
def model():
    with Model(echo) as model:
        yield model


@pytest.fixture(scope="module")
def client(model, tmp_path_factory):
    rules = policy(tmp_path_factory.mktemp("policy"), REFUSE)
    with Demur("--upstream", model.url, "--policy", rules) as demur:
        yield demur.client()


def texts_of(stream):
    """The text and the finish reason of each choice of a stream."""
    texts, finish = {}, {}
    for part in stream:
        for choice in part.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
            finish[choice.index] = choice.finish_reason or finish.get(choice.index)
    return texts, finish


def test_a_completion(client, model):
    answer = client.completions.create(model="scripted", prompt="Once upon a time", max_tokens=5, echo=True)
    assert answer.object == "text_completion"
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Once upon a time", "stop")
    assert answer.usage.total_tokens == 7
    assert model.last == {"model": "scripted", "prompt": "Once upon a time", "max_tokens": 5, "echo": True}


def test_several_prompts_give_several_choices(client):
    answer = client.completions.create(model="scripted", prompt=["one", "two"], n=2)
    assert [choice.text for choice in answer.choices] == ["one", "one", "two", "two"]
    streamed = client.completions.create(model="scripted", prompt=["one two", "three"], stream=True)
    assert texts_of(streamed) == ({0: "one two", 1: "three"}, {0: "stop", 1: "stop"})


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_a_completion(client, model, stream):
    asked = len(model.bodies)
    answer = client.completions.create(model="scripted", prompt=["fine", "zork"], stream=stream)
    if stream:
        texts, finish = texts_of(answer)
    else:
        texts = {choice.index: choice.text for choice in answer.choices}
        finish = {choice.index: choice.finish_reason for choice in answer.choices}
    assert finish == {0: "content_filter", 1: "content_filter"}
    assert all(len(text) > 20 for text in texts.values())
    assert len(model.bodies) == asked


def test_embeddings(client):
    answer = client.embeddings.create(model="scripted", input=["a", "four"], encoding_format="float")
    assert [item.embedding for item in answer.data] == [[1.0, 0.5], [4.0, 0.5]]


def test_a_refused_embedding_is_an_error(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="scripted", input=["fine", "zork"])
    assert (refused.value.code, refused.value.param) == ("content_filter", "input")
    assert len(refused.value.body["message"]) > 20


def test_tokens_are_turned_away(client):
    with pytest.raises(openai.BadRequestError, match="holds tokens"):
        client.completions.create(model="scripted", prompt=[1, 2, 3])
    with pytest.raises(openai.BadRequestError, match="holds tokens"):
        client.embeddings.create(model="scripted", input=[[1, 2], [3]])


def test_the_model_inside_says_what_it_answers(inside):
    with pytest.raises(openai.BadRequestError, match="/chat/completions"):
        inside.client().completions.create(model="demur-chat", prompt="Once upon a time")
    with pytest.raises(openai.BadRequestError, match="/chat/completions"):
        inside.client().embeddings.create(model="demur-chat", input="Once upon a time")
