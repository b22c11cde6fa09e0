"""What widely used servers read and write beside the vendors' schemas, in the form of the lists that `make.py` writes."""

from __future__ import annotations

from typing import Any

from schema import MARKER

USER = {"role": "user", "content": "x"}


def assistant(**members: Any) -> dict[str, Any]:
    return {"messages": [USER, {"role": "assistant", "content": "x", **members}]}


def message(**members: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **members}}]}


def delta(**members: Any) -> dict[str, Any]:
    chunk = {"id": "x", "created": 0, "model": "x", "object": "chat.completion.chunk"}
    return chunk | {"choices": [{"index": 0, "delta": members}]}


DETAILS = [{"type": "reasoning.text", "text": MARKER}]
SUMMARY = [{"type": "reasoning.summary", "summary": MARKER}]
UNKNOWN = [{"type": "unknown", "unknown": MARKER}]
THINKING = [{"type": "thinking", "thinking": [{"type": "text", "text": MARKER}]}]

FIELDS: dict[str, dict[str, Any]] = {
    "chat request": {
        # DeepSeek, vLLM, SGLang.
        "messages[role=assistant].reasoning_content": assistant(reasoning_content=MARKER),
        # OpenRouter, Ollama, newer vLLM.
        "messages[role=assistant].reasoning": assistant(reasoning=MARKER),
        "messages[role=assistant].reasoning_details[type=reasoning.text].text": assistant(reasoning_details=DETAILS),
        "messages[role=assistant].reasoning_details[type=reasoning.summary].summary": assistant(
            reasoning_details=SUMMARY
        ),
        # Mistral.
        "messages[role=assistant].content[type=thinking].thinking[].text": assistant(content=THINKING),
        # vLLM: documents for retrieval, the template that makes the prompt, and grammars of the answer.
        "documents[]{}": {"documents": [{"text": MARKER}]},
        "chat_template": {"chat_template": MARKER},
        "chat_template_kwargs{}": {"chat_template_kwargs": {"x": MARKER}},
        "guided_choice[]": {"guided_choice": [MARKER]},
        "guided_grammar": {"guided_grammar": MARKER},
        "guided_json{}": {"guided_json": {"description": MARKER}},
        "guided_regex": {"guided_regex": MARKER},
        "structured_outputs.json{}": {"structured_outputs": {"json": {"description": MARKER}}},
        # What nobody knows yet: a server may read it all the same.
        "unknown": {"unknown": MARKER},
        "messages[role=user].unknown": {"messages": [USER | {"unknown": MARKER}]},
        "messages[role=user].content[type=unknown].unknown": {"messages": [USER | {"content": UNKNOWN}]},
    },
    "chat response": {
        "choices[].message.reasoning_content": message(reasoning_content=MARKER),
        "choices[].message.reasoning": message(reasoning=MARKER),
        "choices[].message.reasoning_details[type=reasoning.text].text": message(reasoning_details=DETAILS),
        "choices[].message.reasoning_details[type=reasoning.summary].summary": message(reasoning_details=SUMMARY),
        "choices[].message.content[type=text].text": message(content=[{"type": "text", "text": MARKER}]),
        "choices[].message.content[type=thinking].thinking[].text": message(content=THINKING),
        "unknown": {"unknown": MARKER},
        "choices[].unknown": {"choices": [message()["choices"][0] | {"unknown": MARKER}]},
        "choices[].message.unknown": message(unknown=MARKER),
    },
    "chat events": {
        "choices[].delta.reasoning_content": delta(reasoning_content=MARKER),
        "choices[].delta.reasoning": delta(reasoning=MARKER),
        "choices[].delta.reasoning_details[type=reasoning.text].text": delta(reasoning_details=DETAILS),
        "choices[].delta.reasoning_details[type=reasoning.summary].summary": delta(reasoning_details=SUMMARY),
        "choices[].delta.content[type=text].text": delta(content=[{"type": "text", "text": MARKER}]),
        "choices[].delta.content[type=thinking].thinking[].text": delta(content=THINKING),
        "unknown": delta() | {"unknown": MARKER},
        "choices[].delta.unknown": delta(unknown=MARKER),
    },
}
