"""Complete streams of each dialect, with a place for one event of a kind."""

from __future__ import annotations

from typing import Any

from anthropic import types as anthropic
from anthropic.types import beta
from openai import types as openai
from openai.types import chat, responses

from schema import fields, minimal, variants

# Which item of a response, or block of a message, an event speaks of, by the longest beginning of its type.
ITEMS = {
    "response.code_interpreter": "code_interpreter_call",
    "response.custom_tool_call": "custom_tool_call",
    "response.file_search_call": "file_search_call",
    "response.function_call": "function_call",
    "response.image_generation_call": "image_generation_call",
    "response.mcp_call": "mcp_call",
    "response.mcp_list_tools": "mcp_list_tools",
    "response.reasoning": "reasoning",
    "response.shell_call_command": "shell_call",
    "response.shell_call_output": "shell_call_output",
    "response.web_search_call": "web_search_call",
}
BLOCKS = {
    "citations_delta": "text",
    "compaction_delta": "compaction",
    "input_json_delta": "tool_use",
    "signature_delta": "thinking",
    "text_delta": "text",
    "thinking_delta": "thinking",
}

# Events that hold an element of an answer's list, and that list.
PARTS = {
    "responses": [
        ("[type=response.output_item.added].item", "output"),
        ("[type=response.output_item.done].item", "output"),
    ],
    "messages": [("[type=content_block_start].content_block", "content")],
}
# The numbers that each event with a part has.
NUMBERS = {"responses": ["sequence_number", "output_index"], "messages": ["index"]}

HOLE = None


def templates(dialect: str) -> dict[str, list[Any]]:
    """All streams of a dialect by name."""
    return {"chat": _chat, "completions": _completions, "responses": _responses, "messages": _messages}[dialect]()


def template(dialect: str, event: dict[str, Any]) -> str:
    """The name of the stream that an event belongs into."""
    if dialect in ("chat", "completions"):
        return "stream"
    kind = event["type"]
    if dialect == "messages":
        return BLOCKS[event["delta"]["type"]] if kind == "content_block_delta" else kind
    if kind in ("response.completed", "response.output_item.added", "response.output_item.done"):
        return kind
    if kind in ("response.failed", "response.incomplete", "error"):
        return "end"
    if kind.startswith(("response.output_text", "response.refusal", "response.content_part")):
        return "response.content_part.added" if kind == "response.content_part.added" else "message"
    return next((item for prefix, item in ITEMS.items() if kind.startswith(prefix)), "bare")


def complete(event: dict[str, Any]) -> dict[str, Any]:
    """What a stream can't do without, though the schema can."""
    if event.get("type") == "message_delta":
        return event | {"delta": {"stop_reason": "end_turn", **event["delta"]}}
    return event


def _chat() -> dict[str, list[Any]]:
    chunk = minimal(chat.ChatCompletionChunk)

    def choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        return chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    return {"stream": [choice({"role": "assistant", "content": ""}, None), HOLE, choice({}, "stop"), "[DONE]"]}


def _completions() -> dict[str, list[Any]]:
    end = {"index": 0, "text": "", "finish_reason": "stop"}
    return {"stream": [HOLE, minimal(openai.Completion) | {"choices": [end]}, "[DONE]"]}


def _responses() -> dict[str, list[Any]]:
    response = minimal(responses.Response)
    items = {
        dict(variant.fixed)["type"]: minimal(variant)
        for _, variant in reversed(variants(responses.ResponseOutputItem))
    }

    def event(kind: str, **members: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "sequence_number": 0, **members}

    def whole(kind: str, output: list[Any]) -> dict[str, Any]:
        return event(kind, response=response | {"status": kind.replace("created", "in_progress"), "output": output})

    def around(item: dict[str, Any], *inside: Any) -> list[Any]:
        place = {"output_index": 0, "item": item}
        added, done = event("output_item.added", **place), event("output_item.done", **place)
        return [created, added, *inside, done, whole("completed", [item])]

    created = whole("created", [])
    part = {"item_id": "x", "output_index": 0, "content_index": 0}
    part["part"] = {"type": "output_text", "text": "", "annotations": []}
    part_added, part_done = event("content_part.added", **part), event("content_part.done", **part)
    message = items["message"]
    shown = around(message, part_added, part_done)
    return {
        "bare": [HOLE, *shown],
        "end": [*shown[:-1], HOLE],
        "response.completed": [*shown[:-1], HOLE],
        "response.content_part.added": around(message, HOLE, part_done),
        "response.output_item.added": [created, HOLE, whole("completed", [])],
        "response.output_item.done": [created, HOLE, whole("completed", [])],
        "message": around(message, part_added, HOLE, part_done),
        **{item: around(items[item], HOLE) for item in ITEMS.values()},
    }


def _messages() -> dict[str, list[Any]]:
    blocks = {}
    for root in (beta.BetaRawContentBlockStartEvent, anthropic.RawContentBlockStartEvent):
        [kinds] = [field.type for field in fields(root) if field.name == "content_block"]
        blocks |= {dict(variant.fixed)["type"]: minimal(variant) for _, variant in variants(kinds)}
    start = {"type": "message_start", "message": minimal(anthropic.Message)}
    usage = {"output_tokens": 0}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    stop = {"type": "message_stop"}

    def around(block: str, *inside: Any) -> list[Any]:
        begin = {"type": "content_block_start", "index": 0, "content_block": blocks[block]}
        return [begin, *inside, {"type": "content_block_stop", "index": 0}]

    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
    shown = around("text", text)
    return {
        "message_start": [HOLE, *shown, delta, stop],
        "content_block_start": [start, HOLE, {"type": "content_block_stop", "index": 0}, delta, stop],
        "message_delta": [start, *shown, HOLE, stop],
        **{block: [start, *around(block, HOLE), delta, stop] for block in sorted(set(BLOCKS.values()))},
    }
