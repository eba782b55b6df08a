"""Runs every command of docs/paper.md, in the page's order, from a folder that has what a fresh clone has: the
page's configs with small networks and short trainings, and data sets of drawn faces in the layouts of AFHQ,
CelebA and FFHQ. What the page says will be there must be there."""

import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/paper.md"
CONFIGS = ["trainer/configs/paper-afhq.json", "trainer/configs/paper-ffhq.json"]
# Makes a config's networks small and its trainings short; all else stays as the page has it.
SMALL = {
    "model": {
        "resolution": 16,
        "generator": {"channels": [8, 8, 8], "latentSize": 8, "mappingLayers": 1},
        "encoder": {"channels": [8, 8, 8]},
        "discriminator": {"channels": [8, 8, 8]},
        "classifier": {"widthMultiplier": 0.25},
    },
    "classifier": {"epochs": 40, "batchSize": 16, "learningRate": 0.005},
    "stylex": {"images": 2400, "batchSize": 4, "generatorLr": 0.006, "encoderLr": 0.006,
               "discriminatorLr": 0.003, "weights": {"adversarial": 0.1, "l1": 5, "kl": 3}},
}


def merged(base, change):
    """`base` with the fields of `change`, objects field by field."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return base | {key: merged(base.get(key), value) for key, value in change.items()}


def blocks(page):
    """The commands of the page, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def make_data(trainer, folder):
    """Drawn faces, light or dark behind, as the three data sets; the variables that name them."""
    world = folder / "world"
    subprocess.run([trainer, "world", "--output", world, "--resolution", "16", "--train", "320", "--val", "96",
                    "--rule", "background"], check=True, stdout=subprocess.DEVNULL)
    images = {split: {label: sorted((world / split / label).iterdir()) for label in ("no", "yes")}
              for split in ("train", "val")}
    afhq, celeba, ffhq = folder / "afhq", folder / "celeba", folder / "ffhq"
    (celeba / "img_align_celeba").mkdir(parents=True)
    attributes, partition = [], []
    for part, (split, of_split) in enumerate(images.items()):
        for label, name in (("no", "cat"), ("yes", "dog"), ("no", "wild")):
            (afhq / split / name).mkdir(parents=True)
            for number, path in enumerate(of_split[label]):
                shutil.copy(path, afhq / split / name)
                if name == "wild":
                    continue
                (ffhq / "00000").mkdir(parents=True, exist_ok=True)
                shutil.copy(path, ffhq / "00000" / f"{split}{number:05}{label}{path.suffix}")
                image = f"{split}{number}{label}{path.suffix}"
                shutil.copy(path, celeba / "img_align_celeba" / image)
                attributes.append(f"{image} {1 if label == 'yes' else -1} -1")
                partition.append(f"{image} {part}")
    (celeba / "list_attr_celeba.txt").write_text("\n".join([str(len(attributes)), "Young Male", *attributes]))
    (celeba / "list_eval_partition.txt").write_text("\n".join(partition))
    return {"AFHQ": str(afhq), "CELEBA": str(celeba), "FFHQ": str(ffhq)}


def answer(clone):
    """A participant who has the key, in the file that the page of the study saves."""
    with open(clone / "paper/user-study/key.csv", newline="") as file:
        key = list(csv.DictReader(file))
    with open(clone / "answers.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Timestamp", "Study"] + [f"Question {row['question']}" for row in key])
        writer.writerow(["now", key[0]["study"]] + [row["answer"] for row in key])
    return len(key)


def on_one_thread(trainer, folder):
    """A stylex-train whose commands have one thread each: with networks this small, threads only wait."""
    folder.mkdir()
    wrapper = folder / "stylex-train"
    wrapper.write_text(f'#!/bin/sh\nexec "{trainer}" "$@" --threads 1\n')
    wrapper.chmod(0o755)
    return folder


def run(block, clone, environment):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=clone, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"{block}\nexit code {done.returncode}\n{done.stdout}"
    return done.stdout


def lists_of(version):
    index = json.loads((version / "attributes.json").read_text())
    return [[(a.get("index", 0), a["direction"]) for a in of.get("attributes", [])] for of in index["classes"]]


def check(clone, said):
    """What the page promises of the files that its commands leave."""
    paper = clone / "paper"
    for name in ("cats", "age"):
        table = json.loads((paper / name / "table2/table2.json").read_text())
        assert table["system"] == "stylex" and len(table["attfind"]["rates"]) == 10, table
        assert {"wu", "attfind", "random", "nothing"} <= table["stylegan2"].keys(), table
        assert "| StyleGAN2 |" in (paper / name / "table2/table2.md").read_text()
    top = json.loads((paper / "cats/table2-top/table2.json").read_text())
    assert top["exemplars"] == "the top 2 %", top
    assert json.loads((paper / "cats/heldout/heldout.json").read_text())["images"] == 96
    for figure in ("figure-4/reconstructions", "figure-5/reconstructions", "figure-7/samples", "figure-8/samples"):
        assert (paper / f"{figure}.png").is_file(), figure
    for figures in ("figure-4/attributes", "figure-5/attributes", "figure-6a/attributes", "figure-6c/attributes",
                    "figure-9/wu"):
        assert list(paper.glob(f"{figures}-*.png")), figures
    # The copies were searched by other choices; the checkpoint itself was left alone.
    usual = lists_of(paper / "models/cats/1")
    assert any(usual), usual
    assert lists_of(paper / "models/cats-together/1") != usual
    for copy in ("by-paper", "filtered"):
        assert "attributes" in (paper / f"models/cats-{copy}/1/README.md").read_text()
    assert "nothing to explain" not in said, said


def main():
    trainer = pathlib.Path(sys.argv[1]).resolve()
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        clone = pathlib.Path(folder) / "clone"
        for config in CONFIGS:
            assert config in page, f"{config} is not used"
            path = clone / config
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(merged(json.loads((ROOT / config).read_text()), SMALL)))
        environment = os.environ | make_data(trainer, pathlib.Path(folder))
        binaries = on_one_thread(trainer, pathlib.Path(folder) / "bin")
        environment |= {"PATH": f"{binaries}:{os.environ['PATH']}", "OMP_WAIT_POLICY": "passive"}
        said = ""
        for block in blocks(page):
            begun = time.monotonic()
            expected = ""
            if "answers.csv" in block:
                expected = f"1.0000 +- 0.0000: mean and standard deviation over {answer(clone)} questions"
            of_block = run(block, clone, environment)
            assert expected in of_block, of_block
            said += of_block
            print(f"{block}{time.monotonic() - begun:.0f} s\n", flush=True)
        commands = sum(block.count("stylex-train ") for block in blocks(page))
        assert commands >= 25, f"only {commands} commands were found"
        check(clone, said)


main()
