"""Everything of deploy/kubernetes that somebody might apply, rendered."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
components: [{}]
"""
# Every component; mutually exclusive ones in separate combinations.
COMBINATIONS = {
    "base with models from a volume": ["tls", "servicemonitor", "networkpolicy", "model-volume"],
    "base with models from an image": ["keda", "servicemonitor", "networkpolicy", "model-image"],
}


def kustomize():
    found = shutil.which("kustomize") or os.path.expanduser("~/go/bin/kustomize")
    return found if os.path.exists(found) else None


def documents(text):
    return {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(text) if o}


def build(folder):
    return documents(subprocess.run([kustomize(), "build", str(folder)], check=True,
                                    capture_output=True, text=True).stdout)


def renderings():
    """Names and objects; the base's files as they are where kustomize is not installed."""
    if not kustomize():
        print("kustomize is not installed: reading the base's files as they are")
        names = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text())["resources"]
        text = "\n---\n".join((KUBERNETES / "base" / name).read_text() for name in names)
        return [("base", documents(text))]
    result = [(name, build(KUBERNETES / name)) for name in ("base", "overlays/cpu", "overlays/gpu")]
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "kubernetes"
        shutil.copytree(KUBERNETES, copy)
        (copy / "all").mkdir()
        for name, components in COMBINATIONS.items():
            paths = ", ".join(f"../components/{component}" for component in components)
            (copy / "all/kustomization.yaml").write_text(OVERLAY.format(paths))
            result.append((name, build(copy / "all")))
    tried = {component for components in COMBINATIONS.values() for component in components}
    there_are = {folder.name for folder in (KUBERNETES / "components").iterdir()}
    if tried != there_are:
        sys.exit(f"failed: components not tried: {there_are - tried}")
    return result
