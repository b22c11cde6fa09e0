"""Fits the last layer of the hazard heads anew, on the finished network: beside `harm` they weigh little in training, and most
sources tick one hazard of several that are true. Logistic regression on the pooled states; a hazard that was not ticked counts
little against it where the row is harmful."""

import argparse
import json
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from batch import Encoder, batches, pad
from data import HAZARDS, HEADS, load
from model import Guard

# What an unticked hazard of a harmful row weighs, and what a harmless row weighs.
UNTICKED, HARMLESS = 0.1, 0.3


@torch.no_grad()
def pooled(model, encoder, rows):
    """What the last layer reads, for each row."""
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, x: seen.append(x[0].float()))
    rng = random.Random(5)
    examples = [encoder.example(row, rng) for row in rows]
    out = torch.empty(len(rows), model.config["hidden_size"])
    for group in batches(examples, 8192, None):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(*pad([examples[i] for i in group]))
        out[group] = seen.pop()
    return out


def main():
    args = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parent
    args.add_argument("--weights", type=Path, required=True, help="are changed in place")
    args.add_argument("--start", type=Path, required=True)
    args.add_argument("--data", type=Path, default=here / "../../../shared/data/train")
    args = args.parse_args()
    torch.manual_seed(5)
    train, _ = load(args.data)
    rng = random.Random(5)
    rows = [r for r in train if r.labels.get("harm") == 1 and any(r.labels.get(h) for h in HAZARDS)]
    rows += rng.sample([r for r in train if r.labels.get("harm") == 0], min(len(rows) // 2, 6000))
    config = json.loads(args.weights.with_suffix(".json").read_text())
    model = Guard(config).load(args.weights).eval()
    x = pooled(model, Encoder(args.start, config, 128), rows)
    y = torch.tensor([[float(r.labels.get(h, 0)) for h in HAZARDS] for r in rows])
    harmful = torch.tensor([float(r.labels["harm"]) for r in rows])[:, None]
    w = torch.where(y > 0, 1.0, torch.where(harmful > 0, UNTICKED, HARMLESS))
    layer = torch.nn.Linear(x.shape[1], len(HAZARDS))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.02, weight_decay=0.02)
    for step in range(400):
        loss = (F.binary_cross_entropy_with_logits(layer(x), y, reduction="none") * w).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 99:
            print(f"step {step + 1}  loss {loss.item():.4f}", flush=True)
    tensors = load_file(args.weights)
    at = HEADS.index(HAZARDS[0])
    tensors["classifier.weight"][at:] = layer.weight.detach()
    tensors["classifier.bias"][at:] = layer.bias.detach()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, args.weights)
    print(f"fitted {len(HAZARDS)} hazards on {len(rows)} rows")


if __name__ == "__main__":
    main()
