"""experiments/ground_truth at its smallest, and experiments/stability on what it trains: their tables have what was asked
for, and nothing is done twice."""

import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tables_of(trainer, work, *arguments):
    return subprocess.run([sys.executable, ROOT / "experiments/ground_truth", "--work-dir", work, "--build",
                           trainer.parents[1], "--seeds", "1", "--train", "64", "--val", "12",
                           "--base-train", "64", "--search-images", "4",
                           *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def measured(work):
    return json.loads((work / "ground_truth.json").read_text())["faces"]


def main():
    trainer = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        faces = ("--only", "faces", "--rules", "1", "--base-images", "32", "--face-images", "32")
        # Files left behind by a run that was stopped while drawing.
        (work / "faces-base/world/train/yes").mkdir(parents=True)
        table = tables_of(trainer, work, *faces)
        assert table.count("| 1 of 10 |") == 2, table  # one seed and the mean
        before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
        assert tables_of(trainer, work, *faces) == table
        for path, time in before.items():
            assert path.name == "ground_truth.json" or path.stat().st_mtime_ns == time, path

        channels = tables_of(trainer, work / "channels", "--coordinates", "channels", "--training",
                             "swapped", *faces)
        assert channels.count("| 1 of 10 |") == 2, channels
        # So little training finds nothing either way, but what was measured is of other explainers.
        assert measured(work / "channels") != measured(work)

        # On the trained checkpoint: does a search over other images find the same attributes?
        run = work / "faces-1-1"
        rows = subprocess.run([sys.executable, ROOT / "experiments/stability",
                               run / "explainer/models/small/1", "--data", run / "world", "--build",
                               trainer.parents[1], "--seeds", "2", "--images", "8"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout.splitlines()
        assert [row.split("|")[1].strip() for row in rows[2:]] == ["no", "yes", "all"], rows
        assert all(0 <= float(row.split("|")[3]) <= 1 for row in rows[2:]), rows

        table = tables_of(trainer, work, "--only", "null", "--null-images", "32")
        # Random labels, and an untrained classifier: both must be reported as having nothing to
        # explain.
        assert table.count("| yes |") == 2 and "| NO |" not in table, table
        found = json.loads((work / "ground_truth.json").read_text())["null"]
        assert {run["setting"] for run in found} == {"shuffled", "untrained"}, found


main()
