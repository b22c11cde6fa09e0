"""The guard's network in PyTorch: BERT's encoder, mean and maximum over the judged tokens, one dense layer, one logit a head."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


class Layer(nn.Module):
    """One post-norm transformer layer (Devlin et al., 2018), with the tensor names of BERT. No dropout: one epoch over varied rows
    needs none, and on a CPU random numbers cost a tenth of a step."""

    def __init__(self, hidden, heads, inner, eps):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(hidden, eps=eps), nn.LayerNorm(hidden, eps=eps)
        self.up, self.down = nn.Linear(hidden, inner), nn.Linear(inner, hidden)

    NAMES = {"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value", "out": "attention.output.dense",
             "norm1": "attention.output.LayerNorm", "up": "intermediate.dense", "down": "output.dense", "norm2": "output.LayerNorm"}

    def forward(self, x, mask):
        b, t, h = x.shape
        split = lambda y: y.view(b, t, self.heads, h // self.heads).transpose(1, 2)
        # Written out: on a CPU the backward pass of the fused kernel takes half of a step. Without autocast softmax stays in the products'
        # type; it adds up in float32 all the same.
        scores = (split(self.query(x)) * (h // self.heads) ** -0.5) @ split(self.key(x)).transpose(-1, -2)
        with torch.autocast(x.device.type, enabled=False):
            a = (scores if mask is None else scores + mask.to(scores.dtype)).softmax(-1)
        a = a @ split(self.value(x))
        x = self.norm1(x + self.out(a.transpose(1, 2).reshape(b, t, h)))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Guard(nn.Module):
    """Token ids and types in, one logit a head out. Shapes: ids, types [batch, tokens]; types of padding are -1."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        h, eps = config["hidden_size"], config["layer_norm_eps"]
        self.word = nn.Embedding(config["vocab_size"], h)
        self.place = nn.Embedding(config["max_position_embeddings"], h)
        self.kind = nn.Embedding(len(config["types"]), h)
        self.norm = nn.LayerNorm(h, eps=eps)
        self.layers = nn.ModuleList(Layer(h, config["num_attention_heads"], config["intermediate_size"], eps) for _ in range(config["num_hidden_layers"]))
        self.pooler = nn.Linear(2 * h, h)
        self.classifier = nn.Linear(h, len(config["heads"]))

    def forward(self, ids, types):
        there = types >= 0
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.word(ids) + self.place(places) + self.kind(types.clamp(min=0)))
        mask = None if bool(there.all()) else (~there[:, None, None, :]) * -1e4
        for layer in self.layers:
            x = layer(x, mask)
        judged = (there & (types != len(self.config["types"]) - 1))[..., None]
        mean = (x * judged).sum(1) / judged.sum(1)
        most = x.masked_fill(~judged, -1e4).amax(1)
        pooled = F.gelu(self.pooler(torch.cat([mean, most], -1)))
        return self.classifier(F.dropout(pooled, 0.1, self.training)).float()

    def names(self):
        """(parameter's name here, tensor's name in the file) of every parameter."""
        outer = {"word.weight": "embeddings.word_embeddings.weight", "place.weight": "embeddings.position_embeddings.weight",
                 "kind.weight": "embeddings.token_type_embeddings.weight", "norm.weight": "embeddings.LayerNorm.weight",
                 "norm.bias": "embeddings.LayerNorm.bias", "pooler.weight": "pooler.dense.weight", "pooler.bias": "pooler.dense.bias"}
        for name, _ in self.named_parameters():
            if name.startswith("layers."):
                _, n, part, end = name.split(".")
                yield name, f"encoder.layer.{n}.{Layer.NAMES[part]}.{end}"
            else:
                yield name, outer.get(name, name)

    def load(self, path: Path):
        """Takes what the file has, as it was trained or as it ships; heads that it lacks keep their random start."""
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        for scale in [name for name in tensors if name.endswith(".scale")]:
            weight = scale.removesuffix("scale") + "weight"
            tensors[weight] = (tensors[weight] - 128) * tensors.pop(scale)[:, None]
        state = {ours: tensors[theirs] for ours, theirs in self.names() if theirs in tensors}
        missing, unexpected = self.load_state_dict(state, strict=False)
        if unexpected or any(not m.startswith(("pooler", "classifier")) for m in missing):
            raise SystemExit(f"{path}: tensors are missing: {missing}")
        return self


def start(folder: Path, heads, seed=7) -> Guard:
    """A network on a pretrained encoder."""
    torch.manual_seed(seed)
    config = json.loads((folder / "config.json").read_text()) | {"heads": list(heads)}
    return Guard(config).load(folder / "model.safetensors")
