"""Reads the tensors that a C++ test left in a folder, and compares what it computed with them."""

import importlib
import json
import pathlib
import sys

MISSING_PACKAGE = 77


def require(*names):
    """Imports the modules; ends the program with the code for "skip this test" if one is missing."""
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        print(f"{error} (Debian: python3-numpy, python3-scipy, python3-torch, python3-torchvision)")
        sys.exit(MISSING_PACKAGE)


(numpy,) = require("numpy")


def load(folder):
    """All tensors of the folder as float64 arrays, by name."""
    folder = pathlib.Path(folder)
    arrays = {}
    for name, entry in json.loads((folder / "manifest.json").read_text()).items():
        flat = numpy.fromfile(folder / entry["file"], dtype="<f4")
        arrays[name] = flat.reshape(entry["shape"]).astype(numpy.float64)
    return arrays


class Comparison:
    """Collects differences; `finish` ends the program with 1 if one was too great."""

    def __init__(self, tolerance):
        self.tolerance = tolerance
        self.count = 0
        self.failed = False

    def check(self, name, got, expected):
        """Greatest difference, in units of the greatest expected value where that exceeds 1."""
        self.count += 1
        if got.shape != expected.shape:
            print(f"{name}: shape {got.shape}, expected {expected.shape}")
            self.failed = True
            return
        scale = max(1.0, float(numpy.abs(expected).max()))
        difference = float(numpy.abs(got - expected).max()) / scale
        wrong = not difference <= self.tolerance
        print(f"{name}: difference {difference:.2e}{'  <-- too great' if wrong else ''}")
        self.failed = self.failed or wrong

    def finish(self):
        if self.count == 0:
            print("nothing was compared")
        sys.exit(1 if self.failed or self.count == 0 else 0)
