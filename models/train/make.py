"""Makes one of the two networks, from its start to the folder that ships: train, calibrate, export."""

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
# Of each network: the pretrained start, its runs as stages, and where it goes. The weights of the runs are averaged: fine-tuned from one
# start they lie in one basin, and their mean is better than either, most of all on texts unlike the training rows (Wortsman et al.,
# Model soups, 2022). A second stage reads the written rows again and some of the others, so that what was written where the errors
# were is not drowned. The lowest layers of the deeper network stay as they are: they cost a third of a step and hold what the
# languages have in common.
NETWORKS = {
    "english": ("minilm", {
        "wide": [
            ["--epochs", "2", "--rate", "1.2e-4"],
            ["--epochs", "2", "--rate", "6e-5", "--public", "0.4"],
        ],
        "narrow": [
            ["--language", "english", "--most", "128", "--epochs", "2", "--rate", "1.5e-4", "--written", "0"],
            ["--language", "english", "--most", "128", "--epochs", "2.2", "--rate", "1e-4", "--public", "0.3"],
        ],
    }, "guard"),
    "multilingual": ("e5", {
        "wide": [["--most", "128", "--epochs", "1.3", "--rate", "1e-4", "--freeze", "4"]],
        "narrow": [["--most", "112", "--epochs", "1.5", "--rate", "1.2e-4", "--public", "0.3", "--freeze", "4"]],
    }, "guard/multilingual"),
}


def average(runs: list[Path], out: Path):
    """The mean of checkpoints of one shape."""
    out.parent.mkdir(parents=True, exist_ok=True)
    states = [load_file(path) for path in runs]
    save_file({name: torch.stack([s[name].float() for s in states]).mean(0) for name in states[0]}, out)
    out.with_suffix(".json").write_text(runs[0].with_suffix(".json").read_text())


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("network", choices=NETWORKS)
    args.add_argument("--data", type=Path, default=HERE / "../../../shared/data/train")
    args.add_argument("--work", type=Path, default=HERE / "../../target/train")
    args = args.parse_args()
    start, runs, folder = NETWORKS[args.network]
    run = lambda script, *more: subprocess.run([sys.executable, HERE / script, *map(str, more)], check=True)
    done = []
    for kind, stages in runs.items():
        before = []
        for n, how in enumerate(stages, 1):
            name = f"{args.network}-{kind}-{n}"
            weights = args.work / name / "model.safetensors"
            if not weights.exists():
                run("train.py", "--data", args.data, "--work", args.work, "--start", start, "--name", name, "--seed", 6 + n, *before, *how)
            before = ["--init", weights]
        done.append(weights)
    weights, of = args.work / args.network / "model.safetensors", ["--start", args.work / "start" / start]
    cal = weights.with_name("calibration.json")
    average(done, weights)
    run("hazards.py", "--data", args.data, "--weights", weights, *of)
    run("calibrate.py", "--data", args.data, "--weights", weights, *of, "--out", cal, *(["--english"] if args.network == "english" else []))
    run("export.py", "--weights", weights, *of, "--calibration", cal, "--name", f"demur-guard-{args.network}", "--out", args.work / folder)


if __name__ == "__main__":
    main()
