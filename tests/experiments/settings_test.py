"""experiments/settings at its smallest: halves, does nothing twice, draws the same settings again."""

import json
import pathlib
import subprocess
import sys
import tempfile

from run_twice import run_twice

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHANNELS = {"channels": [8, 8, 8, 8]}


def main():
    trainer = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run([trainer, "world", "--output", work / "faces", "--resolution", "32", "--train", "64",
                        "--val", "24"], check=True, stdout=subprocess.DEVNULL)
        config = {
            "preset": "default",
            "model": {"resolution": 32, "classifier": {"widthMultiplier": 0.35},
                      "generator": CHANNELS | {"latentSize": 16}, "encoder": CHANNELS, "discriminator": CHANNELS},
            "classifier": {"epochs": 1}, "stylex": {"batchSize": 8, "weights": {"l1": 3}}}
        (work / "config.json").write_text(json.dumps(config))
        command = [sys.executable, ROOT / "experiments/settings", "--work-dir", work / "runs", "--build",
                   trainer.parents[1], "--data", work / "faces", "--config", work / "config.json", "--settings", "3",
                   "--images", "16", "--rounds", "2", "--search-images", "2", "--flip-images", "4"]
        table = run_twice(command, work / "runs", "settings.json")
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
        # Two of three go on to twice as many images, the better one first.
        assert [row[1] for row in rows] == ["32", "32", "16"], table
        assert float(rows[0][2]) >= float(rows[1][2]), rows
        results = json.loads((work / "runs/settings.json").read_text())
        first_round = {}
        for number, of in results.items():
            agreement, sharpness, convincing = (of["reached"]["16"][name][0] for name in
                                                ("agreement", "sharpness", "convincing_10"))
            first_round[number] = agreement + min(sharpness, 1 / sharpness) + convincing
        assert rows[2][0] == min(first_round, key=first_round.get), (rows, first_round)
        other = subprocess.run([*command, "--flip-images", "5"], stderr=subprocess.PIPE, text=True, check=False)
        assert other.returncode != 0 and "other options" in other.stderr, other
        assert results["0"]["drawn"] == {}
        drawn = results["1"]["drawn"]
        trained = json.loads((work / "runs/setting1/images16/train.json").read_text())["stylex"]
        assert trained["weights"]["l1"] == drawn["weights.l1"] != 3, trained
        assert trained["generatorLr"] == trained["encoderLr"] == drawn["generatorLr and encoderLr"], trained
        assert results["2"]["drawn"] != drawn


main()
