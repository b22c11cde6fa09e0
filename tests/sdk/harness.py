"""A running `demur` on free ports, and a scripted model to stand behind it."""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from openai import OpenAI

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("DEMUR", ROOT / "target/debug/demur"))
# Generous: two busy cores. A test that passes never waits this long.
DEADLINE = 60.0


def until(holds, what, deadline=DEADLINE):
    """Polls until `holds()` gives something true, and gives that back."""
    end = time.monotonic() + deadline
    while True:
        if value := holds():
            return value
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.01)


class Demur:
    """A `demur serve` process. Its addresses are read from its log."""

    def __init__(self, *flags, env=None, cwd=ROOT):
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--log-format", "json"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DEMUR_")}
        self.process = subprocess.Popen(
            [*map(str, command), *map(str, flags)],
            cwd=cwd, env={**clean, **(env or {})}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        serving = until(lambda: self.logged("serving") or self._exited(), "the line `serving`")
        self.address = serving["listen"]
        self.ops = f"http://{serving['ops']}"
        self.url = f"http://{self.address}/v1"
        until(lambda: get(f"{self.ops}/readyz").status == 200, "readiness")

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _exited(self):
        if (code := self.process.poll()) is not None:
            self.reader.join(DEADLINE)
            raise AssertionError(f"demur ended with {code}:\n{''.join(self.lines)}")

    def logged(self, message):
        """The last log line with this message, parsed."""
        for line in reversed(self.lines):
            if message in line:
                return json.loads(line)
        return None

    def client(self, key="unused"):
        return OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=DEADLINE)

    def metrics(self):
        return get(f"{self.ops}/metrics").body

    def metric(self, name, **labels):
        """The sum of a metric's samples with these labels; 0 when it has none."""
        total = 0.0
        for line in self.metrics().splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name:
                have = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
                if all(have.get(label) == value for label, value in labels.items()):
                    total += float(found[3])
        return total

    def memory(self):
        """The most memory the process ever had resident, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Stops it as an operator would; gives its exit code."""
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.reader.join(DEADLINE)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Answer:
    """An HTTP answer, whatever its status."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def error(self):
        """The error in OpenAI's shape; fails when it is not of it."""
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and isinstance(error["type"], str), error
        return error


def get(url):
    return _open(urllib.request.Request(url))


def post(url, body, headers=None):
    """Posts bytes, or anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return _open(urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}))


def _open(request):
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return Answer(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as answer:
        return Answer(answer.code, answer.headers, answer.read().decode())


def ask(text, **more):
    """The body of a chat request with one question."""
    return {"model": "scripted", "messages": [{"role": "user", "content": text}], **more}


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=DEADLINE)


def read_to_end(stream):
    """All bytes until the other side closes."""
    read = b""
    while piece := stream.recv(65536):
        read += piece
    return read


def policy(folder, rules, name="test"):
    """Writes a policy file, replaced in one step as an editor does; gives its path."""
    path = Path(folder) / "policy.yaml"
    new = path.with_suffix(".new")
    new.write_text(f"demur: 1\nname: {name}\n{rules}")
    new.rename(path)
    return path


class Model:
    """A scripted model on loopback: `script(handler, body)` answers, requests are remembered."""

    def __init__(self, script):
        self.bodies = []
        self.gone = queue.Queue()
        self.release = threading.Event()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = read_body(self)
                model.bodies.append(raw)
                try:
                    script(self, json.loads(raw))
                except (BrokenPipeError, ConnectionResetError):
                    model.gone.put(True)

            def do_GET(self):
                say_json(self, {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1, "owned_by": "tests"}]})

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def last(self):
        return json.loads(self.bodies[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def read_body(handler):
    """A request's body, also in chunks, as proxies send what they have changed."""
    if handler.headers["transfer-encoding"] != "chunked":
        return handler.rfile.read(int(handler.headers["content-length"]))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def say_json(handler, value, status=200):
    say_bytes(handler, json.dumps(value).encode(), "application/json", status)


def say_bytes(handler, body, kind, status=200):
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def completion(message, finish="stop"):
    return {
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def begin_stream(handler):
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()


def send_event(handler, data):
    event = f"data: {data}\n\n".encode()
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
    handler.wfile.flush()


def end_stream(handler):
    send_event(handler, "[DONE]")
    handler.wfile.write(b"0\r\n\r\n")


def chunk(delta, finish=None):
    return json.dumps({
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })


def echo(handler, body):
    """Says the user's last words again, streamed word by word when a stream is asked for."""
    text = body["messages"][-1]["content"]
    if not body.get("stream"):
        return say_json(handler, completion({"content": text}))
    begin_stream(handler)
    send_event(handler, chunk({"role": "assistant", "content": ""}))
    for word in re.findall(r"\S+\s*", text):
        send_event(handler, chunk({"content": word}))
    send_event(handler, chunk({}, "stop"))
    end_stream(handler)
