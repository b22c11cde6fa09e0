"""Scores of the guard for rows: windows, the maximum of each head kept."""

import json
import random
from pathlib import Path

import torch

from batch import Encoder, batches, pad
from model import Guard


class Judge:
    """`weights` as they were trained, with their configuration beside them, or in a folder that export.py wrote."""

    def __init__(self, weights: Path, folder: Path, window=256, stride=64):
        beside = weights.with_suffix(".json")
        self.config = json.loads((beside if beside.exists() else weights.with_name("config.json")).read_text())
        self.model = Guard(self.config).load(weights).eval()
        self.encoder = Encoder(folder, self.config)
        self.window, self.stride = window, stride

    @torch.no_grad()
    def logits(self, rows, budget=8192):
        """[rows, heads]"""
        windows, owner = [], []
        for i, row in enumerate(rows):
            for window in self.encoder.windows(row, self.window, self.stride):
                windows.append(window)
                owner.append(i)
        best = torch.full((len(rows), len(self.config["heads"])), -1e9)
        for group in batches(windows, budget, None):
            ids, types = pad([windows[i] for i in group])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = self.model(ids, types)
            for i, logits in zip(group, out):
                best[owner[i]] = torch.maximum(best[owner[i]], logits)
        return best
