"""The life of a process: reload, drain, keys, limits, and clients that leave."""

import hashlib
import json
import signal
import socket
import subprocess
import threading

import openai
import pytest
from harness import (
    BINARY, DEADLINE, Demur, Model, ask, begin_stream, chunk, connect, end_stream, get, policy, post, send_event, until,
)

CHAT = "/chat/completions"
ALLOW = "rules: []\n"
REFUSE_ZORK = """
lists:
  zork: [zork]
rules:
  - {id: no-zork, on: [input, output], when: list.zork > 0, do: refuse, hazard: cyber}
"""
BROKEN = "rules:\n  - {id: x, on: [input], when: pii.credit_crad > 0, do: refuse}\n"


class Loop:
    """Asks over and over from several threads; every answer must be a good one."""

    def __init__(self, demur, threads=4):
        self.verdicts, self.failures, self.ended = [], [], threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(demur,)) for _ in range(threads)]

    def _run(self, demur):
        try:
            client = demur.client()
            while not self.ended.is_set():
                create = client.chat.completions.with_raw_response.create
                raw = create(model="scripted", messages=[{"role": "user", "content": "zork"}])
                self.verdicts.append(raw.headers["x-demur-verdict"])
        except Exception as failure:  # noqa: BLE001 - whatever it is, the request was dropped
            self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(DEADLINE)
        assert self.failures == []


def verdict(demur):
    return post(demur.url + CHAT, ask("zork")).headers["x-demur-verdict"]


def loads(demur, result):
    return demur.metric("demur_policy_loads_total", result=result)


def test_an_edit_takes_effect_without_a_dropped_request(echoing, tmp_path):
    path = policy(tmp_path, ALLOW)
    with Demur("--upstream", echoing.url, "--policy", path) as demur:
        with Loop(demur) as loop:
            until(lambda: len(loop.verdicts) > 50 or loop.failures, "requests under way")
            policy(tmp_path, REFUSE_ZORK)
            until(lambda: "refuse" in loop.verdicts or loop.failures, "the new policy")
            seen = len(loop.verdicts)
            until(lambda: len(loop.verdicts) > seen + 50 or loop.failures, "requests under the new policy")
        assert set(loop.verdicts) == {"allow", "refuse"}
        assert demur.metric("demur_requests_total", surface="chat", code="200") == len(loop.verdicts)
        until(lambda: demur.logged("policies reloaded"), "the reload is logged")


def test_a_broken_edit_changes_nothing(echoing, tmp_path):
    path = policy(tmp_path, REFUSE_ZORK)
    with Demur("--upstream", echoing.url, "--policy", path) as demur:
        before = post(demur.url + CHAT, ask("zork")).headers["x-demur-policy"]
        policy(tmp_path, BROKEN)
        until(lambda: loads(demur, "error") >= 1, "the broken edit is noticed")
        error = until(lambda: demur.logged("policies not reloaded"), "the failure is logged")["error"]
        assert f"{path}:" in error and "pii.credit_crad" in error and "pii.credit_card" in error
        after = post(demur.url + CHAT, ask("zork")).headers
        assert after["x-demur-verdict"] == "refuse" and after["x-demur-policy"] == before
        policy(tmp_path, ALLOW)
        until(lambda: verdict(demur) == "allow", "the repaired policy")


def test_sighup_reads_the_rules_again(echoing, tmp_path):
    path = policy(tmp_path, ALLOW)
    with Demur("--upstream", echoing.url, "--policy", path) as demur:
        before = loads(demur, "ok")
        demur.signal(signal.SIGHUP)
        until(lambda: loads(demur, "ok") > before, "the reload")
        assert demur.alive()


def test_sigterm_lets_a_stream_finish():
    def two_parts(handler, _body):
        begin_stream(handler)
        send_event(handler, chunk({"role": "assistant", "content": "first "}))
        assert model.release.wait(DEADLINE)
        send_event(handler, chunk({"content": "second"}, "stop"))
        end_stream(handler)

    with Model(two_parts) as model, Demur("--upstream", model.url, "--policy", "observe") as demur:
        stream = demur.client().chat.completions.create(**ask("hello"), stream=True)
        text = next(stream).choices[0].delta.content
        demur.signal(signal.SIGTERM)
        until(lambda: refuses(demur.address), "new connections are refused")
        # Operators still see it, and balancers are told to look elsewhere.
        assert get(f"{demur.ops}/readyz").status == 503
        model.release.set()
        text += "".join(part.choices[0].delta.content or "" for part in stream)
        assert text == "first second"
        assert demur.process.wait(DEADLINE) == 0


def refuses(address):
    try:
        connect(address).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # It came just while the listener was closed.
        return False
    return False


def test_a_drain_has_a_limit():
    with Model(lambda handler, body: model.release.wait(DEADLINE)) as model:
        with Demur("--upstream", model.url, "--drain-timeout", "200ms") as demur:
            with connect(demur.address) as waiting:
                body = json.dumps(ask("hello")).encode()
                head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
                waiting.sendall(head.encode() + body)
                until(lambda: model.bodies, "the model is asked")
                demur.signal(signal.SIGTERM)
                # Requests were cut off, and whoever stopped it should know.
                assert demur.process.wait(DEADLINE) == 1


def test_keys_and_their_rates(echoing, tmp_path):
    def key(name):
        made = subprocess.run([BINARY, "keys", "new", "--name", name], capture_output=True, text=True, check=True).stdout
        secret = next(word for word in made.split() if word.startswith("dm-"))
        sha256 = next(line.split()[1] for line in made.splitlines() if "sha256:" in line)
        assert sha256 == hashlib.sha256(secret.encode()).hexdigest()
        return secret, sha256

    (free, free_hash), (slow, slow_hash) = key("free"), key("slow")
    settings = tmp_path / "demur.yaml"
    settings.write_text(f"""
upstream: {echoing.url}
keys:
  - {{name: free, sha256: {free_hash}}}
  - {{name: slow, sha256: {slow_hash}, requests_per_minute: 1, burst: 2}}
""")
    with Demur("--config", settings) as demur:
        for wrong in ("dm-wrong", free_hash):
            with pytest.raises(openai.AuthenticationError):
                demur.client(wrong).chat.completions.create(**ask("hello"))
        assert post(demur.url + CHAT, ask("hello")).status == 401
        for _ in range(2):
            demur.client(slow).chat.completions.create(**ask("hello"))
        with pytest.raises(openai.RateLimitError) as limited:
            demur.client(slow).chat.completions.create(**ask("hello"))
        assert 1 <= int(limited.value.response.headers["retry-after"]) <= 60
        demur.client(free).chat.completions.create(**ask("hello"))
        assert demur.metric("demur_rejected_total", reason="auth") == 3
        assert demur.metric("demur_rejected_total", reason="rate_limit") == 1
        assert not any(free in line or slow in line for line in demur.lines)


LONG = {"model": "demur-chat", "messages": [{"role": "user", "content": "Tell me a long story."}], "max_tokens": 4000,
        "temperature": 1, "logit_bias": {"2": -100}}


def hold(demur):
    """Asks the model inside for something long, without waiting for it."""
    stream = connect(demur.address)
    body = json.dumps(LONG).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    stream.sendall(head.encode() + body)
    return stream


def test_a_full_queue_and_clients_that_leave():
    with Demur("--queue", "1") as demur:
        # One is answered, one waits, and there is room for no third.
        held = [hold(demur)]
        until(lambda: demur.metric("demur_requests_in_flight") == 1, "the first request")
        answers = []

        def full():
            held.append(hold(demur))
            held[-1].settimeout(0.2)
            try:
                answers.append(held[-1].recv(65536))
            except TimeoutError:
                return False
            return True

        until(full, "the queue is full")
        assert answers[0].startswith(b"HTTP/1.1 503"), answers[0]
        assert b"retry-after:" in answers[0].lower() and b'"overloaded"' in answers[0]
        assert demur.metric("demur_rejected_total", reason="overload") >= 1
        # Everyone goes away: what was being said is given up, and the next client is answered at once.
        for stream in held:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            stream.close()
        until(lambda: demur.metric("demur_generations_total", outcome="cancelled") >= 1, "the generation is given up")
        until(lambda: demur.metric("demur_requests_in_flight") == 0, "nothing is in flight")
        answer = demur.client().chat.completions.create(**{**LONG, "max_tokens": 1})
        assert answer.usage.completion_tokens == 1


def test_a_streaming_client_that_leaves():
    with Demur("--policy", "observe") as demur:
        stream = demur.client().chat.completions.create(**LONG, stream=True)
        next(stream)
        stream.close()
        until(lambda: demur.metric("demur_generations_total", outcome="cancelled") == 1, "the generation is given up")


@pytest.mark.parametrize("flags, expected", [
    (["--listen", "here"], "--listen"),
    (["--max-body", "4 apples"], "KiB"),
    (["--policy", "no-such-policy"], "no-such-policy"),
    (["--upstream", "not a url"], "the URL is wrong"),
    (["--upstream", "http://127.0.0.1:9/v1", "--upstreams", "[]"], "use one"),
    (["--local", "false"], "upstream"),
    (["--config", "/nowhere/demur.yaml"], "/nowhere/demur.yaml"),
])
def test_a_wrong_setting_stops_the_start(flags, expected):
    ended = subprocess.run([BINARY, "serve", *flags], capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "panicked" not in ended.stderr
