"""Writes what ships, with the calibration folded in: the matrices that serving multiplies in int8 anyway as bytes with a scale for
each row, the rest in float16; tokenizer, config, hashes."""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from data import HEADS


def quantised(matrix):
    """(bytes, scale of each row): the value is (byte - 128) * scale."""
    scale = (matrix.abs().amax(1) / 127).clamp(min=1e-8)
    return ((matrix / scale[:, None]).round() + 128).to(torch.uint8), scale.float()


def is_quantised(name, tensor):
    return tensor.dim() == 2 and (name.startswith("encoder.layer.") or "word_embeddings" in name)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--weights", type=Path, required=True)
    args.add_argument("--start", type=Path, required=True, help="folder with the tokenizer")
    args.add_argument("--calibration", type=Path, help="what calibrate.py wrote")
    args.add_argument("--thresholds", type=json.loads, default={})
    args.add_argument("--name", default="demur-guard")
    args.add_argument("--out", type=Path, required=True)
    args = args.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tensors = load_file(args.weights)
    config = json.loads(args.weights.with_suffix(".json").read_text())
    if args.calibration:
        platt = json.loads(args.calibration.read_text())["platt"]
        a = torch.tensor([platt[head][0] for head in HEADS])
        b = torch.tensor([platt[head][1] for head in HEADS])
        tensors["classifier.weight"] = tensors["classifier.weight"] * a[:, None]
        tensors["classifier.bias"] = tensors["classifier.bias"] * a + b
    small = {}
    for name, tensor in tensors.items():
        if is_quantised(name, tensor):
            small[name], small[name.removesuffix(".weight") + ".scale"] = quantised(tensor)
        else:
            small[name] = tensor.half().contiguous()
    # Logits are what calibration fixed: the last layer stays exact.
    for name in ("classifier.weight", "classifier.bias"):
        small[name] = tensors[name].float().contiguous()
    save_file(small, args.out / "model.safetensors")
    shutil.copy(args.start / "tokenizer.json", args.out / "tokenizer.json")
    keep = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings",
            "layer_norm_eps", "types", "heads", "cls", "sep"]
    shipped = {"name": args.name, "start": config["start"], **{k: config[k] for k in keep}, "window": 256, "stride": 64, "thresholds": args.thresholds}
    (args.out / "config.json").write_text(json.dumps(shipped, indent=1) + "\n")
    sums = [f"{hashlib.sha256((args.out / n).read_bytes()).hexdigest()}  {n}\n" for n in ("config.json", "model.safetensors", "tokenizer.json")]
    (args.out / "SHA256SUMS").write_text("".join(sums))
    print(f"{args.out}: {sum(f.stat().st_size for f in args.out.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
