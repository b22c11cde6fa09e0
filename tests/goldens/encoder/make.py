"""Makes cases.json: what PyTorch makes of 200 texts with the shipped guard models. The texts are the cases of the shipped policies.

    python tests/goldens/encoder/make.py        (needs models/train/requirements.txt)
"""

import json
import re
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "models/train"))
from batch import Encoder, pad  # noqa: E402
from data import Row  # noqa: E402
from model import Guard  # noqa: E402


def shipped(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    return Guard(config).load(folder / "model.safetensors").eval(), Encoder(folder, config), config


def main():
    says = re.findall(r'say: "((?:[^"\\]|\\.)+)"', (ROOT / "policies/patterns.yaml").read_text())
    says = [json.loads(f'"{s}"') for s in says if "\\" not in s]
    step = max(1, len(says) // 100)
    chosen = says[::step][:99] + [" ".join(says[:60])]
    out = []
    folders = [f for f in (ROOT / "models/guard", ROOT / "models/guard/multilingual") if f.is_dir()]
    for folder in folders:
        model, encoder, config = shipped(folder)
        cases = []
        for i, text in enumerate(chosen * (200 // len(chosen) // len(folders))):
            role = ["user", "assistant", "tool", "system"][i % 4]
            context = chosen[(i * 7) % len(chosen)][:300] if role in ("assistant", "tool") else None
            rows = []
            for window in encoder.windows(Row(text, role, context), config["window"], config["stride"]):
                with torch.no_grad():
                    rows.append([round(p, 5) for p in torch.sigmoid(model(*pad([window]))[0]).tolist()])
            cases.append({"kind": config["types"].index(role), "text": text, "context": context, "probabilities": rows})
        out.append({"folder": str(folder.relative_to(ROOT)), "cases": cases})
    path = Path(__file__).with_name("cases.json")
    path.write_text(json.dumps(out, ensure_ascii=False, indent=0, separators=(",", ":")) + "\n")
    print(f"{sum(len(o['cases']) for o in out)} cases, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
