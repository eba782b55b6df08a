"""Do the manifests agree with the server? Flags, ports, probes, grace period, security context.

Renders every overlay with kustomize where it is installed; otherwise reads the base's files. Then
starts the server with the flags of the manifests and asks it what the probes would ask. Exit code
77: skipped.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not installed")
    sys.exit(77)

from renderings import ROOT, renderings


def check(condition, message):
    if not condition:
        sys.exit(f"failed: {message}")


def flag_values(arguments):
    return dict(argument.lstrip("-").split("=", 1) for argument in arguments)


def check_flags(usage, flags, environment):
    for flag in flags:
        check(re.search(rf"--{flag}\b", usage), f"the server has no flag --{flag}")
    for name in environment:
        if name.startswith("STYLEX_"):
            check(name in usage, f"the server reads no variable {name}")


def check_container(container, flags):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    check(ports["grpc"] == int(flags["port"]), "containerPort grpc is not --port")
    check(ports["metrics"] == int(flags["metrics-port"]), "containerPort metrics is another one")
    # With TLS, only the health port is unencrypted, as probes require.
    health = flags["health-port"] if "tls-certificate" in flags else flags["port"]
    for probe, service in (("startupProbe", "startup"), ("readinessProbe", "readiness"),
                           ("livenessProbe", "liveness")):
        check(container[probe]["grpc"] == {"port": int(health), "service": service},
              f"{probe} does not ask for {service} on {health}")
        check(container[probe]["timeoutSeconds"] >= 5, f"{probe} times out too early")
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for flag in ("tls-certificate", "tls-key"):
        if flag in flags:
            check(os.path.dirname(flags[flag]) in mounts, f"nothing is mounted for --{flag}")


def check_confinement(container):
    name = container["name"]
    context = container["securityContext"]
    check(context["allowPrivilegeEscalation"] is False, f"{name}: privilege escalation is allowed")
    check(context["readOnlyRootFilesystem"] is True, f"{name}: the root file system is writable")
    check(context["capabilities"]["drop"] == ["ALL"], f"{name}: capabilities are kept")
    for kind in ("requests", "limits"):
        check(set(container["resources"][kind]) >= {"cpu", "memory"}, f"{kind} are incomplete")


def check_models(pod, container, flags):
    """Where models are mounted, the server looks for them; what copies them writes there."""
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    check(("models" in mounts) == ("models" in volumes), "models are mounted by half")
    if "models" in mounts:
        check(mounts["models"]["mountPath"] == flags["models"], "models are not at --models")
        check(mounts["models"]["readOnly"] is True, "the server could write its models")
    for copier in pod.get("initContainers", []):
        check_confinement(copier)
        (mount,) = copier["volumeMounts"]
        check(mount["name"] == "models", "the models are copied elsewhere")
        check(copier["command"][-1].rstrip("/") == mount["mountPath"], "copies beside the volume")
        check("emptyDir" in volumes["models"], "copies into a volume that is not the pod's own")


def check_pod(name, objects, usage):
    pod = objects["Deployment", "stylex"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    flags = flag_values(container["args"])
    check_flags(usage, flags, [variable["name"] for variable in container["env"]])
    check_container(container, flags)
    check_confinement(container)
    check_models(pod, container, flags)
    check(pod["securityContext"]["runAsNonRoot"] is True, "runs as root")
    check(pod["automountServiceAccountToken"] is False, "mounts a token")
    check(pod["enableServiceLinks"] is False, "a Service's variables would be read as flags")
    needed = float(flags["drain-delay"]) + float(flags["drain-timeout"]) + 5
    check(pod["terminationGracePeriodSeconds"] >= needed, f"grace period below {needed} s")
    volumes = {volume["name"] for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        check(mount["name"] in volumes, f"{name}: no volume {mount['name']}")
    return container, flags


def check_around(objects, flags):
    """What stands around the pods."""
    labels = objects["Deployment", "stylex"]["spec"]["template"].get("metadata", {}).get("labels")
    for (kind, name), thing in objects.items():
        if kind == "Service" and labels:
            selector = thing["spec"].get("selector")
            check(selector and selector.items() <= labels.items(), f"Service {name} selects no pod")
    for service in ("stylex", "stylex-headless"):
        port = objects["Service", service]["spec"]["ports"][0]
        check(port["targetPort"] == int(flags["port"]), f"Service {service} points elsewhere")
        cleartext = port.get("appProtocol") == "kubernetes.io/h2c"
        check(cleartext == ("tls-certificate" not in flags), f"Service {service}: cleartext is {cleartext}")
    check(objects["PodDisruptionBudget", "stylex"]["spec"]["maxUnavailable"] == 1,
          "the disruption budget blocks or frees too much")
    policy = objects.get(("NetworkPolicy", "stylex"))
    if policy:
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        check(opened == {int(flags["port"]), int(flags["metrics-port"])},
              f"the network policy opens {opened}")
    monitor = objects.get(("ServiceMonitor", "stylex"))
    if monitor:
        service = objects["Service", "stylex-metrics"]
        check(service["spec"]["ports"][0]["targetPort"] == int(flags["metrics-port"]),
              "Service stylex-metrics points elsewhere")
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        check(wanted <= service["metadata"]["labels"].items(), "the monitor selects no Service")


def check_scaler(rendered, source):
    for objects in rendered.values():
        scaler = objects.get(("ScaledObject", "stylex"))
        if not scaler:
            continue
        deployment = objects["Deployment", "stylex"]
        check("replicas" not in deployment["spec"], "replicas fight the autoscaler")
        check(scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"],
              "KEDA scales something else")
        for trigger in scaler["spec"]["triggers"]:
            check_metrics("KEDA", trigger["metadata"]["query"], source)


def check_overlays(rendered):
    if "overlays/gpu" not in rendered:
        return
    deployment = rendered["overlays/gpu"]["Deployment", "stylex"]["spec"]
    limits = deployment["template"]["spec"]["containers"][0]["resources"]["limits"]
    check(limits["nvidia.com/gpu"] == 1, "the GPU overlay asks for no GPU")
    check(deployment["strategy"]["rollingUpdate"]["maxSurge"] == 0, "a surge pod finds no GPU")
    cpu = rendered["overlays/cpu"]
    check("replicas" not in cpu["Deployment", "stylex"]["spec"], "replicas fight the autoscaler")
    check(cpu["HorizontalPodAutoscaler", "stylex"]["spec"]["scaleTargetRef"]["name"] == "stylex",
          "the autoscaler scales something else")


def check_behaviour(server, container, flags):
    """Starts the server as the manifest does, on free ports, and asks what the probes ask."""
    try:
        import grpc
    except ImportError:
        print("python3-grpcio is not installed: the server is not asked")
        return
    own = {**flags, "host": "127.0.0.1", "port": "0", "metrics-port": "0", "drain-delay": "0"}
    with tempfile.TemporaryDirectory() as models:
        own["models"] = models
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STYLEX_")}
        process = subprocess.Popen([server] + [f"--{k}={v}" for k, v in own.items()],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                   env=environment)
        address = process.stdout.readline().split()[-1]
        with grpc.insecure_channel(address) as channel:
            ask = channel.unary_unary("/grpc.health.v1.Health/Check")
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                name = container[probe]["grpc"]["service"].encode()
                # HealthCheckRequest.service is field 1; an unknown name would be NOT_FOUND.
                ask(b"\x0a" + bytes([len(name)]) + name, timeout=60, wait_for_ready=True)
        process.terminate()
        check(process.wait(timeout=60) == 0, "SIGTERM does not end the server with 0")


def known_metrics(source):
    return set(re.findall(r'"((?:stylex|process)_[a-z_]+)"', source))


def check_metrics(who, expression, source):
    """The metrics of an expression, every one of which the server has."""
    names = {re.sub(r"_(bucket|sum|count)$", "", name)
             for name in re.findall(r"\b(?:stylex|process)_[a-z_]+", expression)}
    unknown = names - known_metrics(source)
    check(not unknown, f"{who} asks for {unknown}, which there is not")
    return names


def check_dashboard(source):
    dashboard = json.loads((ROOT / "deploy/grafana/stylex-server.json").read_text())
    drawn = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            drawn |= check_metrics(f"panel {panel['title']!r}", target["expr"], source)
    undrawn = known_metrics(source) - drawn
    check(undrawn <= {"stylex_build_info"}, f"not drawn: {undrawn}")


def main():
    server = sys.argv[1]
    check(os.path.exists(server), f"{server} is missing")
    usage = subprocess.run([server, "--help"], check=True, capture_output=True, text=True).stdout
    rendered = dict(renderings())
    for name, objects in rendered.items():
        container, flags = check_pod(name, objects, usage)
        check_around(objects, flags)
        print(f"{name}: {len(objects)} objects agree with the server")
    check_overlays(rendered)
    source = (ROOT / "server/telemetry/metrics.cc").read_text()
    check_scaler(rendered, source)
    check_behaviour(server, *check_pod("base", rendered["base"], usage))
    check_dashboard(source)


main()
