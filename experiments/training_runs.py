"""Small StylEx trainings by stylex-train, for the programs of this folder: one thread each, several at a time, and
what is done already is not done again."""

import concurrent.futures
import copy
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESOLUTION = 32
# Photographs of two classes: coats and pullovers, which are hard to tell apart.
PHOTOGRAPHS = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = "2,4"
CHANNELS = [32, 32, 32, 16]


def merged(base, *changes):
    """`base` with the fields of each change in turn, objects field by field."""
    result = copy.deepcopy(base)
    for change in changes:
        for key, value in change.items():
            inner = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if inner else copy.deepcopy(value)
    return result


def small(images, preset, image_channels=3):
    """A config of small networks, which a core trains in minutes."""
    networks = {name: {"channels": list(CHANNELS)}
                for name in ("generator", "encoder", "discriminator")}
    networks["generator"]["latentSize"] = 64
    return {
        "preset": preset,
        "model": {"resolution": RESOLUTION, "imageChannels": image_channels,
                  "classifier": {"widthMultiplier": 0.5}, **networks},
        "classifier": {"epochs": 12, "learningRate": 0.003, "labelSmoothing": 0.1},
        "stylex": {"images": images, "batchSize": 8,
                   "saveIntervalImages": images, "sampleIntervalImages": images},
    }


def jaccard_of_pairs(sets):
    """The Jaccard index of every two sets; 1 where both are empty."""
    return [len(a & b) / len(a | b) if a | b else 1.0 for a, b in itertools.combinations(sets, 2)]


def run_all(jobs, parallel):
    """Calls what `jobs` has under each key, `parallel` at a time; (the results, how many failed). What went
    wrong and how many are through is said on stderr."""
    results = {}
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        keys = {pool.submit(job): key for key, job in jobs.items()}
        for done, run in enumerate(concurrent.futures.as_completed(keys), 1):
            if run.exception() is not None:
                print(run.exception(), file=sys.stderr)
            else:
                results[keys[run]] = run.result()
            print(f"{done} of {len(keys)} runs", file=sys.stderr, flush=True)
    # In the order of the jobs, not of their completion.
    return {key: results[key] for key in jobs if key in results}, len(jobs) - len(results)


class Runner:
    """Runs stylex-train on one thread, and keeps what it has made."""

    def __init__(self, build):
        self.trainer = build / "bin/stylex-train"

    def run(self, log, *arguments):
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        with open(log, "a") as output:
            result = subprocess.run([str(self.trainer), *map(str, arguments)], stdout=output,
                                    stderr=subprocess.STDOUT, env=environment, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"stylex-train {arguments[0]} failed; its last lines are in {log}")

    def world(self, path, *arguments):
        """A data set that `stylex-train world` draws."""
        if not (path / "world.json").exists():  # written last
            shutil.rmtree(path, ignore_errors=True)
            self.run(path.parent / f"{path.name}.log", "world", "--output", path, *arguments)
        return path

    def marked(self, path, photographs, classes, rho, *arguments):
        """Two classes of photographs with a mark, whose correlation with the label is `rho`."""
        return self.world(path, "--mark-on", photographs, "--classes", classes, "--rho", rho,
                          "--resolution", RESOLUTION, *arguments)

    def classifier(self, folder, data, config, seed=1):
        if not (folder / "classifier.safetensors").exists():
            folder.mkdir(parents=True, exist_ok=True)
            config_file = folder / "train.json"
            config_file.write_text(json.dumps(config, indent=2))
            self.run(folder / "log", "classifier", "--data", data, "--config", config_file,
                     "--work-dir", folder, "--threads", 1, "--seed", seed, "--resume")
        return folder

    def explainer(self, folder, data, config, classifier, seed, search_images, start_from=None,
                  system="stylex"):
        """A checkpoint in `folder`, with attributes of `search_images` images if that is not 0; (its path, the
        options of every command). `system` is the command that trains it."""
        config_text = json.dumps(config, indent=2)
        config_file = folder / "train.json"
        if config_file.exists() and config_file.read_text() != config_text:
            shutil.rmtree(folder)  # made with other settings
        if not config_file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            config_file.write_text(config_text)
        log = folder / "log"
        common = ("--data", data, "--threads", 1, "--seed", seed)
        checkpoint = folder / "models" / "small" / "1"
        if not checkpoint.exists():
            self.run(log, system, *common, "--config", config_file, "--work-dir",
                     folder / system, "--classifier", classifier, "--output", folder / "models",
                     "--name", "small", "--resume",
                     *(("--start-from", start_from) if start_from else ()))
        if search_images:
            self.attributes(folder, checkpoint, common, search_images)
        return checkpoint, common

    def attributes(self, folder, checkpoint, common, search_images, least_effect=0):
        """Gives a checkpoint attributes, but those that do less than `least_effect` of the strongest."""
        if not (checkpoint / "attributes.json").exists():
            self.run(folder / "log", "attributes", *common, "--images", search_images,
                     "--least-effect", least_effect, "--work-dir", folder / "attributes",
                     "--checkpoint", checkpoint, "--resume")

    def components(self, folder, checkpoint, common):
        """The same explainer with the latent's independent components for coordinates."""
        turned = folder / "models" / "components" / "1"
        if not turned.exists():
            self.run(folder / "log", "components", *common, "--work-dir", folder / "components",
                     "--checkpoint", checkpoint, "--output", folder / "models", "--name", "components")
        return turned
