"""Calibrates the heads on rows kept aside, and chooses thresholds for stated false-positive rates on benign traffic.

Calibration is Platt's (1999): p = sigmoid(a * logit + b), fitted a head at a time; a and b are folded into the last layer, so that
what ships needs no extra step.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from data import HEADS, kept_aside
from evaluate import auroc
from hazards import UNTICKED
from judge import Judge

# Benign traffic: ordinary chat, questions and instructions of many kinds.
BENIGN = {"gpteacher", "self_instruct_seed", "coconot_contrast", "zh_extra_questions", "xquad_questions", "gsm8k", "medquad_questions",
          "awesome_chatgpt_prompts", "open_questions", "clinc_oos", "hwu64", "cyberseceval_instruct"}


def is_benign(row) -> bool:
    return row.source in BENIGN or row.about in ("B", "J0")


def platt(logit, label, weight, steps=100):
    """a, b by Newton's method, with steps halved until they help, on the weighted logistic loss with a weak pull towards a = 1."""
    loss = lambda a, b: (weight * np.logaddexp(0, np.where(label > 0, -1, 1) * (a * logit + b))).sum() + (a - 1) ** 2 / 2
    a, b = 1.0, 0.0
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(a * logit + b)))
        g = np.array([(weight * (p - label) * logit).sum() + (a - 1), (weight * (p - label)).sum()])
        v = weight * p * (1 - p)
        h = np.array([[(v * logit * logit).sum() + 1, (v * logit).sum()], [(v * logit).sum(), v.sum() + 1e-6]])
        step = np.linalg.solve(h, g)
        while loss(a - step[0], b - step[1]) > loss(a, b) and np.abs(step).max() > 1e-6:
            step = step / 2
        a, b = a - step[0], b - step[1]
        if np.abs(step).max() < 1e-6:
            break
    return float(max(a, 0.2)), float(b)


def ece(p, label, bins=15):
    """Expected calibration error (Guo et al., 2017), equal bins."""
    at = np.minimum((p * bins).astype(int), bins - 1)
    return sum(abs(p[at == i].mean() - label[at == i].mean()) * (at == i).mean() for i in range(bins) if (at == i).any())


def main():
    args = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parent
    args.add_argument("--weights", type=Path, required=True)
    args.add_argument("--start", type=Path, required=True)
    args.add_argument("--english", action="store_true", help="look at rows in English alone: the network is asked about no others")
    args.add_argument("--data", type=Path, default=here / "../../../shared/data/train")
    args.add_argument("--out", type=Path, required=True)
    args = args.parse_args()
    torch.set_num_threads(2)
    aside = kept_aside(args.data, args.english)
    judge = Judge(args.weights, args.start)
    logits = judge.logits(aside).numpy()
    result = {"platt": {}, "figures": {}, "quantiles": {}}
    for j, head in enumerate(HEADS):
        keep = [i for i, r in enumerate(aside) if r.labels.get(head) is not None]
        y = np.array([aside[i].labels[head] for i in keep], float)
        w = np.array([aside[i].weight * (UNTICKED if aside[i].unticked(head) else 1.0) for i in keep])
        z = logits[keep, j]
        if y.sum() < 8:
            result["platt"][head] = [1.0, 0.0]
            continue
        a, b = platt(z, y, w)
        p = 1 / (1 + np.exp(-(a * z + b)))
        result["platt"][head] = [a, b]
        result["figures"][head] = {"n": len(y), "positives": int(y.sum()), "auroc": round(float(auroc(z, y)), 4), "ece": round(float(ece(p, y)), 4)}
        print(head, [round(a, 3), round(b, 3)], result["figures"][head])
    benign = [i for i, r in enumerate(aside) if is_benign(r)]
    for head in HEADS[:5]:
        a, b = result["platt"][head]
        p = np.sort(1 / (1 + np.exp(-(a * logits[benign, HEADS.index(head)] + b))))
        result["quantiles"][head] = {str(q): round(float(np.quantile(p, 1 - q)), 4) for q in (0.02, 0.01, 0.005, 0.002)}
    print(len(benign), "benign rows; threshold for a false-positive rate of", result["quantiles"])
    # By source, where the errors are.
    groups = {}
    z = logits[:, 0]
    for i, r in enumerate(aside):
        if r.labels.get("harm") is not None:
            groups.setdefault((r.source, r.labels["harm"]), []).append(1 / (1 + np.exp(-z[i])) >= 0.5)
    for (source, label), flags in sorted(groups.items()):
        if len(flags) >= 10:
            print(f"  {source:40} harm={label} n={len(flags):4} flagged {np.mean(flags):.3f}")
    args.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
