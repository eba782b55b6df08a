"""What `--device` does on a machine without a GPU: auto says so and computes on the CPU, cuda refuses.

Usage: device_flag_test.py STYLEX_SERVER. Exit code 77: skipped, there is a GPU.
"""

import os
import signal
import subprocess
import sys
import tempfile


def check(condition, message):
    if not condition:
        sys.exit(f"failed: {message}")


def check_auto(server, models):
    process = subprocess.Popen(
        [server, "--models", models, "--port", "0", "--drain-delay", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check(process.stdout.readline().startswith("listening on "), "auto: the server does not listen")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    check(process.returncode == 0, f"auto: exit code {process.returncode}")
    reasons = ("computing on cpu: the LibTorch in use was built without CUDA",
               "computing on cpu: LibTorch sees no CUDA device here")
    check(any(reason in log for reason in reasons), f"auto: no word of the fallback in {log}")


def check_refusal(name, command):
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    check(outcome.returncode == 1, f"{name}: exit code {outcome.returncode}, expected 1")
    for words in ("--device cuda: ", "CUDA", "use cpu or auto"):
        check(words in outcome.stderr, f"{name}: {words!r} is not in {outcome.stderr!r}")
    check("listening" not in outcome.stdout, f"{name}: listens all the same")


def main():
    server = sys.argv[1]
    if os.path.exists("/dev/nvidiactl"):
        print("skipped: there is a GPU")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as models:
        check_auto(server, models)
        check_refusal("cuda", [server, "--models", models, "--port", "0", "--device", "cuda"])


main()
