"""Writes, for each dialect, every string field of the vendors' schemas with a body that holds a marker there alone.

The SDKs `openai` and `anthropic` are generated from the specifications that their vendors publish; what their types say is
what this walks. `make coverage` runs it; `tests/coverage.rs` reads what it writes. The same SDKs give the same bytes.

A file holds three lists:
  request   {"base", "fields": [{"path", "with"}]}: the body is the base with the members of `with` put over it
            (with "like": the fields of that dialect's request come first, without those of "without")
  response  {"base", "fields"} of the same form
  events    {"templates", "fields": [{"path", "in", "event"}], "folded": [{"path", "in", "event", "at", "of"}]}: a stream is
            the template with the event in the place of `null`; an entry of `folded` stands for many: the event holds, at
            that JSON pointer, each body of `response` in turn, or where `of` names a list of it, that list's one element
Paths: `[]` is an element, `[type=x]` an element or object of that variant, `{key}` a key and `{}` a value of a map, `.*[]`
a text further down in free JSON. Fields that take one of a few fixed texts hold no marker; `enums` counts them.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pydantic
from anthropic import types as anthropic
from anthropic.types import beta
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_message_params
from anthropic.types import message_count_tokens_params as count_params
from anthropic.types import message_create_params as message_params
from openai import types as openai
from openai.types import chat, completion_create_params, embedding_create_params, responses
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params

import beside
import streams
from schema import MARKER, Schema, minimal

HERE = Path(__file__).parent
USER = [{"role": "user", "content": "x"}]


def bodies(dialect: str, section: str, roots: list[Any], base: dict[str, Any], enums: set[str]) -> dict[str, Any]:
    """Every field of the first root, and what the others have beside it."""
    seen: dict[str, dict[str, Any]] = {}
    for root in roots:
        schema = Schema()
        least = minimal(root)
        for path, body in schema.walk(root):
            check(section, root, body)
            seen.setdefault(path, {k: v for k, v in body.items() if k not in least or least[k] != v})
        enums |= {f"{section} {path}" for path in schema.enums}
    for path, members in beside.FIELDS.get(f"{dialect} {section}", {}).items():
        assert path not in seen, f"{path} is in the schema by now"
        seen[path] = members
    entries = [{"path": path, "with": members} for path, members in seen.items()]
    assert all(json.dumps(entry["with"]).count(MARKER) == 1 for entry in entries)
    return {"base": base, "fields": entries}


def events(
    dialect: str, roots: list[tuple[Any, type | None]], response: dict[str, Any], enums: set[str]
) -> dict[str, Any]:
    """The same for the events of a stream, each in a stream that is complete."""
    fields: dict[str, Any] = {}
    folded: list[dict[str, Any]] = []
    for root, embedded in roots:
        schema = Schema(embedded=(embedded,) if embedded else ())
        for path, event in schema.walk(root):
            if event is not None:
                check("events", root, event)
                event = streams.complete(event)
                fields.setdefault(path, {"in": streams.template(dialect, event), "event": event})
                continue
            folded.append(fold(dialect, path, ""))
        enums |= {f"events {path}" for path in schema.enums}
    for path, event in beside.FIELDS.get(f"{dialect} events", {}).items():
        assert path not in fields, f"{path} is in the schema by now"
        fields[path] = {"in": streams.template(dialect, event), "event": event}
    for event, of in streams.PARTS.get(dialect, []):
        own = {path.removeprefix(event) for path in fields if path.startswith(event)}
        theirs = {path.removeprefix(of) for path in paths(response) if path.startswith(of)}
        assert own == theirs, f"{event} is no element of {of} any more"
        folded.append(fold(dialect, event, of))
        fields = {path: entry for path, entry in fields.items() if not path.startswith(event)}
    return {
        "templates": streams.templates(dialect),
        "fields": [{"path": path, **entry} for path, entry in fields.items()],
        "folded": list({entry["path"]: entry for entry in folded}.values()),
    }


def fold(dialect: str, path: str, of: str) -> dict[str, Any]:
    kind, member = path.removeprefix("[type=").split("].")
    event = {"type": kind} | {name: 0 for name in streams.NUMBERS[dialect]}
    return {"path": path, "in": streams.template(dialect, event), "event": event, "at": f"/{member}", "of": of}


def like(own: dict[str, Any], name: str, other: dict[str, Any]) -> dict[str, Any]:
    """A list that is nearly another's: what it has beside that, and what it does not have."""
    theirs = {entry["path"]: entry for entry in other["fields"]}
    fields = [entry for entry in own["fields"] if theirs.get(entry["path"]) != entry]
    without = sorted((theirs.keys() - paths(own)) | {entry["path"] for entry in fields} & theirs.keys())
    return {"like": name, "without": without, "base": own["base"], "fields": fields}


def paths(section: dict[str, Any]) -> set[str]:
    return {entry["path"] for entry in section["fields"]}


def check(section: str, root: Any, body: Any) -> None:
    """An instance that the SDK itself would not read proves nothing. (Of requests, only types exist.)"""
    if section != "request":
        pydantic.TypeAdapter(root).validate_python(body)


NOTHING: dict[str, Any] = {"base": {}, "fields": []}
NO_EVENTS: dict[str, Any] = {"templates": {}, "fields": [], "folded": []}


def dialect(
    name: str,
    sdk: str,
    request: tuple[list[Any], dict[str, Any]],
    response: tuple[list[Any], dict[str, Any]] | None = None,
    stream: list[tuple[Any, type | None]] | None = None,
    nearly: tuple[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    enums: set[str] = set()
    asked = bodies(name, "request", *request, enums)
    answered = bodies(name, "response", *response, enums) if response else NOTHING
    out = {
        "dialect": name,
        "schema": f"{sdk} {version(sdk)}",
        "request": like(asked, *nearly) if nearly else asked,
        "response": answered,
        "events": events(name, stream, answered, enums) if stream else NO_EVENTS,
        "enums": len(enums),
    }
    (HERE / f"{name}.json").write_text(render(out))
    return asked


def render(value: Any, depth: int = 0) -> str:
    """JSON with one field a line, so that a new version of an SDK shows as what it is."""
    pad = " " * (depth + 1)
    if isinstance(value, dict) and depth < 2:
        members = (f"{pad}{json.dumps(key)}: {render(item, depth + 1)}" for key, item in value.items())
        inner = ",\n".join(members)
        text = f"{{\n{inner}\n{pad[1:]}}}" if value else "{}"
    elif isinstance(value, list) and depth == 2 and value:
        text = "[\n" + ",\n".join(f"{pad}{json.dumps(item, separators=(',', ':'))}" for item in value) + f"\n{pad[1:]}]"
    else:
        text = json.dumps(value, separators=(",", ":"))
    return text + ("\n" if depth == 0 else "")


def main() -> None:
    model = {"model": "x"}
    dialect(
        "chat",
        "openai",
        ([chat_params.CompletionCreateParamsNonStreaming], model | {"messages": USER}),
        ([chat.ChatCompletion], minimal(chat.ChatCompletion)),
        [(chat.ChatCompletionChunk, None)],
    )
    dialect(
        "completions",
        "openai",
        ([completion_create_params.CompletionCreateParamsNonStreaming], model | {"prompt": "x"}),
        ([openai.Completion], minimal(openai.Completion)),
        [(openai.Completion, None)],
    )
    dialect(
        "responses",
        "openai",
        ([response_create_params.ResponseCreateParamsNonStreaming], model | {"input": "x"}),
        ([responses.Response], minimal(responses.Response) | {"status": "completed"}),
        [(responses.ResponseStreamEvent, responses.Response)],
    )
    dialect(
        "embeddings",
        "openai",
        ([embedding_create_params.EmbeddingCreateParams], model | {"input": "x"}),
        ([openai.CreateEmbeddingResponse], minimal(openai.CreateEmbeddingResponse)),
    )
    # What is in beta has the same routes.
    messages = dialect(
        "messages",
        "anthropic",
        (
            [message_params.MessageCreateParamsNonStreaming, beta_message_params.MessageCreateParamsNonStreaming],
            model | {"max_tokens": 1, "messages": USER},
        ),
        ([anthropic.Message, beta.BetaMessage], minimal(anthropic.Message) | {"stop_reason": "end_turn"}),
        [
            (anthropic.RawMessageStreamEvent, anthropic.Message),
            (beta.BetaRawMessageStreamEvent, beta.BetaMessage),
        ],
    )
    dialect(
        "count_tokens",
        "anthropic",
        (
            [count_params.MessageCountTokensParams, beta_count_params.MessageCountTokensParams],
            model | {"messages": USER},
        ),
        nearly=("messages", messages),
    )


if __name__ == "__main__":
    main()
