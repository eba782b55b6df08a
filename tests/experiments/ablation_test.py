"""experiments/ablation at its smallest: a table with a row a variant, and nothing done twice."""

import json
import pathlib
import subprocess
import sys
import tempfile

from run_twice import run_twice

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    trainer = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        subprocess.run([trainer, "world", "--output", work / "faces", "--resolution", "32", "--train",
                        "64", "--val", "24"], check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, ROOT / "experiments/ablation", "--work-dir", work / "runs", "--build",
                   trainer.parents[1], "--data", f"faces={work / 'faces'}", "--images", "32",
                   "--seeds", "1", "--search-images", "2", "--flip-images", "8",
                   "--table2-images", "4", "--only", "base$|base, averaged|StyleGAN2"]
        table = run_twice(command, work / "runs", "ablation.json")
        rows = [row for row in table.splitlines() if row.startswith("|")]
        assert [row.count("|") for row in rows] == 5 * [11] + 3 * [6] + 3 * [8], table
        assert rows[4].startswith("| StyleGAN2 without encoder | - |"), rows
        counts = json.loads((work / "runs" / "ablation.json").read_text())["faces"]
        for results in counts.values():
            assert results["1"]["images"] == 8 and set(results["1"]["flips"]["joint"]) > {"1", "10"}
        # The difference of the single pair, computed directly.
        base, averaged = (results["1"]["flips"]["attfind"]["3"] / 8
                          for title, results in counts.items() if "base" in title)
        cells = [cell.strip() for cell in rows[-1].split("|")]
        assert cells[1:3] == ["averaged encoder", "1"], cells
        assert float(cells[4].split()[0]) == averaged - base, (cells, averaged, base)


main()
