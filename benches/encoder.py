"""Sets the guard's encoder beside candle's BertModel, onnxruntime and PyTorch: same sizes, one run, rounds interleaved.

    python benches/encoder.py [FOLDER]      (needs models/train/requirements.txt, onnx and onnxruntime)

Prints, for one thread and two, the median time of a pass as a ratio to onnxruntime float32, and what share of the
machine's own int8 and float32 peak (measured with large products of the same engines) the encoder reaches.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "models/train"))
warnings.filterwarnings("ignore")

import onnxruntime as ort  # noqa: E402
import torch  # noqa: E402
from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: E402

from model import Guard  # noqa: E402

LENGTHS, BATCHES, ROUNDS = (16, 32, 64, 128, 256), (1, 8), 9


class Plain(torch.nn.Module):
    """The network without its masks: no text is padded here, as in the others."""

    def __init__(self, guard):
        super().__init__()
        self.guard = guard

    def forward(self, ids):
        g = self.guard
        x = g.norm(g.word(ids) + g.place.weight[: ids.shape[1]] + g.kind.weight[0])
        for layer in g.layers:
            x = layer(x, None)
        pooled = torch.nn.functional.gelu(g.pooler(torch.cat([x.mean(1), x.amax(1)], -1)))
        return g.classifier(pooled)


def ids(length, batch):
    return torch.tensor([[1000 + i * 7 % 20_000 for i in range(length)]] * batch)


class Process:
    """examples/encode as a child that times itself."""

    def __init__(self, folder, engine, threads):
        env = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        program = ROOT / "target/debug/examples/encode"
        self.child = subprocess.Popen([program, "time", folder, engine, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def __call__(self, length, batch):
        self.child.stdin.write(f"{length} {batch}\n")
        self.child.stdin.flush()
        return float(self.child.stdout.readline())

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def timed(run):
    def once(length, batch):
        x = ids(length, batch)
        begun = time.perf_counter()
        run(x)
        return time.perf_counter() - begun

    return once


def session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    s = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return timed(lambda x: s.run(None, {"ids": x.numpy()}))


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "models/guard"
    config = json.loads((folder / "config.json").read_text())
    torch.manual_seed(0)
    model = Plain(Guard(config)).eval()
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        full, small = f"{scratch}/f.onnx", f"{scratch}/q.onnx"
        axes = {"ids": {0: "batch", 1: "tokens"}}
        torch.onnx.export(model, (ids(16, 1),), full, input_names=["ids"], dynamic_axes=axes, opset_version=17, dynamo=False)
        quantize_dynamic(full, small, per_channel=True, weight_type=QuantType.QInt8)
        size = config["num_hidden_layers"] * (4 * config["hidden_size"] ** 2 + 2 * config["hidden_size"] * config["intermediate_size"])
        for threads in (1, 2):
            torch.set_num_threads(threads)
            engines = {
                "demur int8": Process(folder, "fast", threads),
                "candle, our reference": Process(folder, "reference", threads),
                "candle BertModel": Process(folder, "stock", threads),
                "onnxruntime int8": session(small, threads),
                "PyTorch eager": timed(model),
                "onnxruntime float32": session(full, threads),
            }
            print(f"\n{threads} thread{'s' * (threads > 1)}; median time over that of onnxruntime float32 (its ms in brackets)")
            print(f"{'tokens x batch':24}" + "".join(f"{n:>6} x {b}" for b in BATCHES for n in LENGTHS))
            times = {name: {} for name in engines}
            for batch in BATCHES:
                for length in LENGTHS:
                    seen = {name: [] for name in engines}
                    for _ in range(ROUNDS):
                        for name, run in engines.items():
                            run(length, batch) if not seen[name] else None
                            seen[name].append(run(length, batch))
                    for name in engines:
                        times[name][length, batch] = statistics.median(seen[name])
            base = times["onnxruntime float32"]
            for name in engines:
                print(f"{name:24}" + "".join(f"{times[name][k] / base[k]:10.2f}" for k in base))
            print(f"{'':24}" + "".join(f"{'(%.1f)' % (base[k] * 1e3):>10}" for k in base))
            ours = times["demur int8"]
            rate = {k: 2 * size * k[0] * k[1] / ours[k] / 1e9 for k in ours}
            a = torch.rand(2048, 2048)
            peak = min(timed(lambda _: a @ a)(16, 1) for _ in range(5))
            peak = 2 * 2048**3 / peak / 1e9
            print(f"{'billion multiply-adds/s':24}" + "".join(f"{rate[k] / 2:10.0f}" for k in rate))
            print(f"share of the measured float32 peak of {peak / 2:.0f} (VNNI's is four times that): "
                  + ", ".join(f"{k[0]}x{k[1]} {rate[k] / peak:.2f}" for k in rate))
            for engine in engines.values():
                if isinstance(engine, Process):
                    engine.close()


if __name__ == "__main__":
    main()
