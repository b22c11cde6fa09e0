"""Bad input and bad upstreams, over real sockets: a clear error, a metric, and the process goes on."""

import json
import socket

import pytest
from harness import (
    DEADLINE, Demur, Model, ask, begin_stream, chunk, connect, get, post, read_to_end, say_bytes, send_event, until,
)

# A text that must never be seen in a log line or a metric.
SECRET = "xyzzy-plugh-canary"
CHAT = "/chat/completions"


def message(content):
    return {"model": "scripted", "messages": [{"role": "user", "content": content}]}


BAD_BODIES = {
    "empty": b"",
    "malformed": b'{"model": "scripted", ',
    "two values": b"{} {}",
    "not UTF-8": b'{"model": "scripted", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "an array": b"[]",
    "no model": {"messages": message(SECRET)["messages"]},
    "model is a number": {**message(SECRET), "model": 7},
    "no messages": {"model": "scripted"},
    "messages are a string": {"model": "scripted", "messages": SECRET},
    "a message is a string": {"model": "scripted", "messages": [SECRET]},
    "content is a number": message(7),
    "stream is a string": {**message(SECRET), "stream": "yes"},
    "10 000 deep": b'{"model": "scripted", "messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10 000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_told_so(gateway, echoing, name):
    before, asked = gateway.metric("demur_rejected_total", reason="malformed"), len(echoing.bodies)
    answer = post(gateway.url + CHAT, BAD_BODIES[name])
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert SECRET not in answer.body
    assert gateway.metric("demur_rejected_total", reason="malformed") == before + 1
    assert len(echoing.bodies) == asked
    assert post(gateway.url + CHAT, ask("hello")).status == 200


def test_the_field_at_fault_is_named(gateway):
    assert post(gateway.url + CHAT, message(7)).error["param"] == "messages[0].content"


def test_an_oversize_body(gateway):
    before = gateway.memory()
    answer = post(gateway.url + CHAT, message("a" * (5 << 20)))
    assert answer.status == 413 and answer.error["code"] == "request_too_large"
    # A body that is announced as larger than anything is not waited for.
    with connect(gateway.address) as stream:
        stream.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999\r\n\r\n{")
        stream.shutdown(socket.SHUT_WR)
        assert b" 200 " not in read_to_end(stream).split(b"\r\n")[0]
    assert gateway.memory() - before < 64


def test_a_line_of_five_megabytes(echoing):
    line = "the quick brown fox jumps over the lazy dog " * 120_000
    with Demur("--upstream", echoing.url, "--policy", "patterns", "--max-body", "8MiB", "--guard-timeout", "50s") as demur:
        answer = post(demur.url + CHAT, message(line))
        assert answer.status == 200, answer.body[:300]
        assert json.loads(answer.body)["choices"][0]["message"]["content"] == line
        assert demur.memory() < 1024
        assert demur.alive()


@pytest.mark.parametrize("path, method, status", [
    ("/v1/nothing", "POST", 404), ("/v1/chat/completions", "GET", 405), ("/metrics", "GET", 404), ("/../etc/passwd", "GET", 404),
])
def test_wrong_routes(gateway, path, method, status):
    url = f"http://{gateway.address}{path}"
    answer = get(url) if method == "GET" else post(url, {})
    assert answer.status == status
    assert answer.error["type"] == "invalid_request_error"


def test_bytes_that_are_no_http(gateway):
    with connect(gateway.address) as stream:
        stream.sendall(b"\x16\x03\x01\x02\x00" + bytes(range(256)) + b"\r\n\r\n")
        assert b"400" in read_to_end(stream)
    assert post(gateway.url + CHAT, ask("hello")).status == 200


def trickle(stream, data):
    """Sends a byte at a time until the other side gives up, and gives what it said."""
    stream.settimeout(0.05)
    for byte in data:
        try:
            stream.sendall(bytes([byte]))
            return stream.recv(65536)
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            return b""
    raise AssertionError("it took all of it")


def test_a_client_that_sends_a_byte_at_a_time(echoing):
    with Demur("--upstream", echoing.url, "--head-timeout", "1s", "--body-timeout", "1s") as demur:
        with connect(demur.address) as stream:
            stream.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n")
            said = trickle(stream, b"x-slow: " + b"a" * 2000)
            assert said == b"" or b"408" in said, said
        with connect(demur.address) as stream:
            stream.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n")
            said = trickle(stream, b"{" + b" " * 1998)
            assert said.startswith(b"HTTP/1.1 408"), said
            assert b"request_timeout" in said
        assert demur.metric("demur_rejected_total", reason="timeout") == 1
        assert post(demur.url + CHAT, ask("hello")).status == 200


def die_mid_stream(handler, _body):
    begin_stream(handler)
    send_event(handler, chunk({"role": "assistant", "content": SECRET}))
    # The connection ends without the last chunk.
    handler.close_connection = True


def html(handler, _body):
    say_bytes(handler, f"<html><body>{SECRET}</body></html>".encode(), "text/html")


def garbage(handler, _body):
    say_bytes(handler, b"\x00\x01\xff" + SECRET.encode(), "application/json")


def garbage_events(handler, _body):
    begin_stream(handler)
    send_event(handler, '{"choices": ' + SECRET)
    handler.wfile.write(b"0\r\n\r\n")


def no_choices(handler, _body):
    say_bytes(handler, b'{"object": "chat.completion"}', "application/json")


BAD_UPSTREAMS = [
    (die_mid_stream, True), (die_mid_stream, False), (html, False), (html, True), (garbage, False), (garbage_events, True),
    (no_choices, False),
]


@pytest.mark.parametrize("script, stream", BAD_UPSTREAMS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_broken_upstream(script, stream):
    with Model(script) as model, Demur("--upstream", model.url) as demur:
        answer = post(demur.url + CHAT, ask("hello", stream=stream))
        assert answer.status == 502
        assert answer.error["code"] == "upstream_broken"
        assert SECRET not in answer.body and not any(SECRET in line for line in demur.lines)
        assert demur.metric("demur_requests_total", surface="chat", code="502") == 1
        assert demur.alive()


def test_a_stream_that_is_shown_live_ends_with_an_error_event():
    with Model(die_mid_stream) as model, Demur("--upstream", model.url, "--policy", "observe") as demur:
        answer = post(demur.url + CHAT, ask("hello", stream=True))
        events = [line.removeprefix("data: ") for line in answer.body.splitlines() if line.startswith("data: ")]
        assert json.loads(events[-1])["error"]["code"] == "upstream_broken"


def test_an_upstream_that_hangs():
    with Model(lambda handler, body: model.release.wait(DEADLINE)) as model:
        upstreams = f"[{{name: slow, url: '{model.url}', first_byte_timeout: 300ms, retries: 0}}]"
        with Demur("--upstreams", upstreams) as demur:
            answer = post(demur.url + CHAT, ask("hello"))
            assert answer.status == 504 and answer.error["code"] == "upstream_timeout"


def test_an_upstream_that_is_not_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with Demur("--upstream", f"http://127.0.0.1:{unused.getsockname()[1]}/v1") as demur:
            answer = post(demur.url + CHAT, ask("hello"))
            assert answer.status == 503 and answer.error["code"] == "upstream_unavailable"
            assert int(answer.headers["retry-after"]) >= 1


def test_an_upstreams_own_error_keeps_its_status():
    def refuse(handler, _body):
        error = {"error": {"message": "no more today", "type": "insufficient_quota", "param": None, "code": "quota"}}
        say_bytes(handler, json.dumps(error).encode(), "application/json", 402)

    with Model(refuse) as model, Demur("--upstream", model.url) as demur:
        answer = post(demur.url + CHAT, ask("hello"))
        assert answer.status == 402 and answer.error["code"] == "quota"


def test_memory_stays_bounded(gateway):
    """Many bad requests at the size limit leave nothing behind."""
    big = b'{"model": "scripted", "messages": [{"role": "user", "content": "' + b"a" * (3 << 20)
    for _ in range(5):
        assert post(gateway.url + CHAT, big).status == 400
    settled = gateway.memory()
    for _ in range(25):
        assert post(gateway.url + CHAT, big).status == 400
    assert gateway.memory() - settled < 32
    until(lambda: gateway.metric("demur_requests_in_flight") == 0, "all requests ended")


def test_nothing_of_a_text_is_in_logs_or_metrics(gateway):
    for text in (SECRET, f"{SECRET}: my card is 4111 1111 1111 1111"):
        assert post(gateway.url + CHAT, ask(text)).status == 200
    assert SECRET not in gateway.metrics()
    assert not any(SECRET in line for line in gateway.lines)
