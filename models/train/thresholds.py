"""What each threshold on harm costs and finds on the rows kept aside: the table that the default policy's thresholds are chosen by."""

import argparse
from pathlib import Path

import numpy as np
import torch

from calibrate import is_benign
from data import HEADS, kept_aside
from judge import Judge

# From this harm on the second network is heard on a user's words: DOUBT in src/detect/classifier/networks.rs.
DOUBT = 0.5


def pooled(first, second, rows):
    """Logits as the guard comes to them: of a user's words in doubt the mean of both networks'."""
    doubted = torch.tensor([r.role == "user" for r in rows]) & (first[:, 0].sigmoid() >= DOUBT)
    return torch.where(doubted[:, None], (first + second) / 2, first)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parent
    args.add_argument("folder", type=Path, help="what export.py wrote")
    args.add_argument("--second", type=Path, help="the same of the network that gives the second opinion")
    args.add_argument("--english", action="store_true", help="look at rows in English alone: the network is asked about no others")
    args.add_argument("--data", type=Path, default=here / "../../../shared/data/train")
    args = args.parse_args()
    aside = kept_aside(args.data, args.english)
    first, *second = [Judge(f / "model.safetensors", f).logits(aside) for f in (args.folder, args.second) if f]
    logits = pooled(first, *second, aside) if second else first
    p = torch.sigmoid(logits).numpy()
    benign = np.array([is_benign(r) for r in aside])
    for head in HEADS[:5]:
        label = np.array([r.labels.get(head, -1) for r in aside])
        score = p[:, HEADS.index(head)]
        print(f"{head}: {(label == 1).sum()} positive, {(label == 0).sum()} negative, {benign.sum()} benign")
        for t in (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97):
            hit = score >= t
            print(f"  {t:.2f}  recall {hit[label == 1].mean():.3f}  false positives {hit[label == 0].mean():.4f}  of benign {hit[benign].mean():.4f}")


if __name__ == "__main__":
    main()
