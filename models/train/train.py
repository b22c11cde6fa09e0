"""Trains the guard. Seeded, resumable (every stage leaves checkpoints and takes up the last one); see README.md."""

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import start as starts
from batch import Encoder, batches, pad, target
from data import HAZARDS, HEADS, is_english, load, noisy
from model import Guard, start

HERE = Path(__file__).parent
HEAD_WEIGHTS = torch.tensor([1.0, 0.7, 0.7, 0.5, 0.6] + [0.12] * len(HAZARDS))


def loss_of(logits, y, w):
    each = F.binary_cross_entropy_with_logits(logits, y, reduction="none") * w * HEAD_WEIGHTS
    return each.sum() / len(y)


def save(model: Guard, path: Path, **more):
    state = {theirs: dict(model.named_parameters())[ours].detach().contiguous() for ours, theirs in model.names()}
    part = path.with_suffix(".part")
    save_file(state, part)
    part.rename(path)
    path.with_suffix(".json").write_text(json.dumps(model.config | more, indent=1))


def takes_part(row, args, rng) -> bool:
    """Whether a row belongs to this stage."""
    if row.source.startswith("written/") and not args.written:
        return False
    if not is_english(row.text):
        return args.language == "all"
    return row.source.startswith("written") or rng.random() < args.public


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--data", type=Path, default=HERE / "../../../shared/data/train")
    args.add_argument("--work", type=Path, default=HERE / "../../target/train")
    args.add_argument("--start", choices=["minilm", "e5"], default="e5")
    args.add_argument("--name", default="guard")
    args.add_argument("--init", type=Path, help="weights of an earlier stage to go on from")
    args.add_argument("--seed", type=int, default=7)
    args.add_argument("--epochs", type=float, default=1)
    args.add_argument("--minutes", type=float, default=0, help="fit the number of steps to this time instead")
    args.add_argument("--rate", type=float, default=8e-5)
    args.add_argument("--tokens", type=int, default=3072, help="of a batch")
    args.add_argument("--most", type=int, default=160, help="tokens of a row")
    args.add_argument("--freeze", type=int, default=0, help="lowest layers that stay as they are")
    args.add_argument("--language", choices=["english", "all"], default="all", help="english: leave rows in other languages out")
    args.add_argument("--written", type=int, choices=[0, 1], default=1, help="whether the rows kept beside this file take part")
    args.add_argument("--public", type=float, default=1, help="share of the public English rows to keep")
    args.add_argument("--threads", type=int, default=2)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rng = random.Random(args.seed)

    train, aside = load(args.data, args.seed)
    folder = starts.prepare(args.start, args.work, (t for r in [*train, *aside] for t in (r.text[:2000], r.context or "")))
    train = [r for r in train if takes_part(r, args, rng)]
    model = start(folder, HEADS, args.seed)
    if args.init:
        model.load(args.init)
    encoder = Encoder(folder, model.config, args.most)
    examples = []
    for row in train:
        if rng.random() < 0.06:
            row.text = noisy(row.text, rng)
        examples.append((*encoder.example(row, rng), *target(row)))
    tokens = sum(len(e[0]) for e in examples)
    print(f"{len(examples)} rows, {tokens} tokens; {len(aside)} rows kept aside", flush=True)

    for p in [model.word.weight, *[p for layer in model.layers[: args.freeze] for p in layer.parameters()]]:
        p.requires_grad_(False)
    if args.freeze:
        for p in [*model.place.parameters(), *model.norm.parameters()]:
            p.requires_grad_(False)
    model.to(device).train()
    new = [p for n, p in model.named_parameters() if n.startswith(("pooler", "classifier", "kind")) and p.requires_grad]
    old = [p for n, p in model.named_parameters() if not n.startswith(("pooler", "classifier", "kind")) and p.requires_grad]
    optimizer = torch.optim.AdamW([{"params": old, "lr": args.rate}, {"params": new, "lr": args.rate * (1 if args.init else 5)}],
                                  weight_decay=0.01, betas=(0.9, 0.98), eps=1e-6, foreach=True)
    base = [g["lr"] for g in optimizer.param_groups]
    plan = [g for e in range(math.ceil(args.epochs)) for g in batches(examples, args.tokens, random.Random(args.seed + e))]
    plan = plan[: int(len(plan) * args.epochs / math.ceil(args.epochs))]
    out = args.work / args.name
    out.mkdir(parents=True, exist_ok=True)
    begun, done, seen, first = time.time(), 0, [], 0
    resume = out / "resume.pt"
    if resume.exists():
        state = torch.load(resume)
        if state["steps"] == len(plan):
            model.load_state_dict(state["model"]), optimizer.load_state_dict(state["optimizer"])
            first = state["step"]
            print(f"going on at step {first}", flush=True)
    lasts = begun
    for step in range(first, len(plan)):
        # By time where a time is given: the schedule follows the clock.
        share = (time.time() - begun) / (60 * args.minutes) if args.minutes else step / len(plan)
        if share >= 1:
            break
        scale = min(1.0, share / 0.06 + 0.01) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, share))))
        for group, lr in zip(optimizer.param_groups, base):
            group["lr"] = lr * scale
        chosen = [examples[i] for i in plan[step]]
        ids, types = pad(chosen)
        y, w = (torch.tensor([e[k] for e in chosen], device=device) for k in (2, 3))
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(ids.to(device), types.to(device))
        loss = loss_of(logits, y, w)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(old + new, 1.0)
        optimizer.step()
        seen.append(loss.item())
        done += ids.numel()
        if step % 50 == 49:
            now = time.time()
            print(f"step {step + 1}/{len(plan)}  loss {sum(seen[-50:]) / 50:.4f}  {done / (now - begun):.0f} tokens/s  {(now - begun) / 60:.1f} min", flush=True)
            if now - lasts > 300:
                lasts = now
                torch.save({"step": step + 1, "steps": len(plan), "model": model.state_dict(), "optimizer": optimizer.state_dict()}, resume)
    save(model.cpu(), out / "model.safetensors", start_folder=args.start, steps=step + 1)
    resume.unlink(missing_ok=True)
    print(f"saved {out / 'model.safetensors'} after {(time.time() - begun) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
