"""Makes one of the two networks, from its start to the folder that ships: train, calibrate, export."""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Of each network: the pretrained start, its stages, and where it goes. The first stage of English reads the public rows, the second
# the written ones and some of the others again, so that what was written where the errors were is not drowned. The multilingual
# network learns from everything first, and then only from the languages it is asked about; its lowest layers stay as they are:
# they cost a third of a step and hold what the languages have in common.
NETWORKS = {
    "english": ("minilm", [
        ["--language", "english", "--most", "128", "--epochs", "2", "--rate", "1.5e-4", "--written", "0"],
        ["--language", "english", "--most", "128", "--epochs", "2.2", "--rate", "1e-4", "--public", "0.3"],
    ], "guard"),
    "multilingual": ("e5", [
        ["--language", "all", "--most", "112", "--epochs", "1.5", "--rate", "1.2e-4", "--public", "0.3", "--freeze", "4"],
        ["--language", "other", "--most", "112", "--epochs", "1.4", "--rate", "8e-5", "--freeze", "4"],
    ], "guard/multilingual"),
}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("network", choices=NETWORKS)
    args.add_argument("--data", type=Path, default=HERE / "../../../shared/data/train")
    args.add_argument("--work", type=Path, default=HERE / "../../target/train")
    args = args.parse_args()
    start, stages, folder = NETWORKS[args.network]
    run = lambda script, *more: subprocess.run([sys.executable, HERE / script, *map(str, more)], check=True)
    weights = None
    for n, how in enumerate(stages, 1):
        name, before = f"{args.network}-{n}", ["--init", weights] if weights else []
        weights = args.work / name / "model.safetensors"
        if not weights.exists():
            run("train.py", "--data", args.data, "--work", args.work, "--start", start, "--name", name, "--seed", 6 + n, *before, *how)
    cal = weights.with_name("calibration.json")
    run("hazards.py", "--data", args.data, "--weights", weights, "--start", args.work / "start" / start)
    run("calibrate.py", "--data", args.data, "--weights", weights, "--start", args.work / "start" / start, "--out", cal)
    run("export.py", "--weights", weights, "--start", args.work / "start" / start, "--calibration", cal,
        "--name", f"demur-guard-{args.network}", "--out", args.work / folder)


if __name__ == "__main__":
    main()
