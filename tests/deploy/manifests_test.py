"""Do the manifests agree with the server? Ports, probes, flags, grace period, security context.

Renders with kustomize where it is installed; otherwise reads the base's files. Exit code 77: skipped.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/kubernetes/base"


def render():
    kustomize = shutil.which("kustomize") or os.path.expanduser("~/go/bin/kustomize")
    if os.path.exists(kustomize):
        text = subprocess.run([kustomize, "build", str(BASE)], check=True,
                              capture_output=True, text=True).stdout
    else:
        print("kustomize is not installed: reading the base's files as they are")
        names = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
        text = "\n---\n".join((BASE / name).read_text() for name in names)
    return [document for document in yaml.safe_load_all(text) if document]


def check(condition, message):
    if not condition:
        sys.exit(f"failed: {message}")


def flag_values(arguments):
    return dict(argument.lstrip("-").split("=", 1) for argument in arguments)


def check_flags(server, flags, environment):
    usage = subprocess.run([server, "--help"], check=True, capture_output=True, text=True).stdout
    for flag in flags:
        check(f"--{flag}" in usage, f"the server has no flag --{flag}")
    for name in environment:
        if name.startswith("STYLEX_"):
            check(name in usage, f"the server reads no variable {name}")


def check_container(container, flags):
    port = int(flags["port"])
    check(container["ports"][0]["containerPort"] == port, "containerPort is not --port")
    for probe, service in (("startupProbe", "startup"), ("readinessProbe", "readiness"),
                           ("livenessProbe", "liveness")):
        check(container[probe]["grpc"] == {"port": port, "service": service},
              f"{probe} does not ask for {service} on {port}")
        check(container[probe]["timeoutSeconds"] >= 5, f"{probe} times out too early")
    context = container["securityContext"]
    check(context["allowPrivilegeEscalation"] is False, "privilege escalation is allowed")
    check(context["readOnlyRootFilesystem"] is True, "the root file system is writable")
    check(context["capabilities"]["drop"] == ["ALL"], "capabilities are kept")
    for kind in ("requests", "limits"):
        check(set(container["resources"][kind]) >= {"cpu", "memory"}, f"{kind} are incomplete")


def check_dashboard(source):
    """Every metric that the dashboard draws is one that the server has."""
    dashboard = json.loads((ROOT / "deploy/grafana/stylex-server.json").read_text())
    known = set(re.findall(r'"((?:stylex|process)_[a-z_]+)"', source))
    drawn = 0
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"\b(?:stylex|process)_[a-z_]+", target["expr"]):
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                check(base in known, f"panel {panel['title']!r} draws {name}, which there is not")
                drawn += 1
    check(drawn >= len(known), "some metrics are not drawn")


def main():
    objects = {(o["kind"], o["metadata"]["name"]): o for o in render()}
    pod = objects["Deployment", "stylex"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    flags = flag_values(container["args"])
    check_container(container, flags)
    check(pod["securityContext"]["runAsNonRoot"] is True, "runs as root")
    check(pod["automountServiceAccountToken"] is False, "mounts a token")
    needed = float(flags["drain-delay"]) + float(flags["drain-timeout"]) + 5
    check(pod["terminationGracePeriodSeconds"] >= needed, f"grace period below {needed} s")
    for name in ("stylex", "stylex-headless"):
        check(objects["Service", name]["spec"]["ports"][0]["targetPort"] == int(flags["port"]),
              f"Service {name} points elsewhere")
    server = sys.argv[1]
    check(os.path.exists(server), f"{server} is missing")
    check_flags(server, flags, [variable["name"] for variable in container["env"]])
    check_dashboard((ROOT / "server/metrics.cc").read_text())
    print("manifests agree with the server")


main()
