"""Rows to token ids, and ids to batches of texts of nearly the same length."""

import random

import torch
from tokenizers import Tokenizer

from data import HEADS, Row

KINDS = {"user": 0, "assistant": 1, "tool": 2, "system": 3, "developer": 3}
CONTEXT = 4
# A label that is only implied (the hazards that a source did not tick) counts this much.
IMPLIED = 0.3


class Encoder:
    """Makes `<cls> [context <sep>] text <sep>` of a row: the layout that `src/nn/encoder/tokens.rs` makes too."""

    def __init__(self, folder, config, most=160):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.cls, self.sep, self.most = config["cls"], config["sep"], most

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def layout(self, text: list[int], context: list[int] | None, role: str):
        kind = KINDS[role]
        ids, types = [self.cls], [kind]
        if context:
            ids += [*context, self.sep]
            types += [CONTEXT] * (len(context) + 1)
        ids += [*text, self.sep]
        types += [kind] * (len(text) + 1)
        return ids, types

    def context(self, text: str | None) -> list[int]:
        """At most a quarter of the window: the first half of that and the last."""
        ids = self.ids(text) if text else []
        half = self.most // 8
        return ids if len(ids) <= 2 * half else ids[:half] + ids[-half:]

    def windows(self, row: Row, window: int, stride: int):
        """Everything of a text, in overlapping windows: what the guard judges."""
        whole, self.most = self.most, window
        context = self.context(row.context)
        self.most = whole
        ids = self.ids(row.text)
        room = window - 2 - (len(context) + 1 if context else 0)
        starts = range(0, max(1, len(ids) - stride), room - stride)
        return [self.layout(ids[s : s + room], context, row.role) for s in starts]

    def example(self, row: Row, rng: random.Random):
        """One window of a training row: of a long text a part that the label is likely true of."""
        context = self.context(row.context)
        ids = self.ids(row.text[:6000])
        room = self.most - 2 - (len(context) + 1 if context else 0)
        if len(ids) > room:
            place = row.about.split("|")
            if row.labels.get("injection") == 1 and ("end" in place or "middle" in place):
                at = len(ids) - room if "end" in place else (len(ids) - room) // 2
                ids = ids[at : at + room]
            elif row.labels.get("harm") == 0 and row.labels.get("injection") != 1 and row.labels.get("jailbreak") != 1:
                at = rng.choice([0, 0, rng.randrange(len(ids) - room + 1)])
                ids = ids[at : at + room]
            elif rng.random() < 0.5 or row.role == "tool":
                ids = ids[:room]
            else:
                ids = ids[: room // 2] + ids[-(room - room // 2) :]
        return self.layout(ids, context, row.role)


def target(row: Row):
    """(labels, weights) over the heads."""
    y = [float(row.labels.get(head, 0)) for head in HEADS]
    w = []
    for head in HEADS:
        label = row.labels.get(head)
        weight = 0.0 if label is None else row.weight
        if row.unticked(head):
            weight *= IMPLIED
        w.append(weight)
    return y, w


def batches(examples, budget: int, rng: random.Random | None):
    """Batches of about `budget` tokens, padding included. `examples`: (ids, types, ...)."""
    order = sorted(range(len(examples)), key=lambda i: (len(examples[i][0]), rng.random() if rng else i))
    groups, current = [], []
    for i in order:
        longest = len(examples[i][0])
        if current and longest * (len(current) + 1) > budget:
            groups.append(current)
            current = []
        current.append(i)
    if current:
        groups.append(current)
    if rng:
        rng.shuffle(groups)
    return groups


def pad(examples):
    """ids and types as tensors; padding has type -1."""
    longest = max(len(e[0]) for e in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    types = torch.full((len(examples), longest), -1, dtype=torch.long)
    for i, e in enumerate(examples):
        ids[i, : len(e[0])] = torch.tensor(e[0])
        types[i, : len(e[1])] = torch.tensor(e[1])
    return ids, types
