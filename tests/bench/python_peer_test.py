"""Does stylex-server, with the shipped checkpoint, answer Encode and Reconstruct as the networks that
bench/python_networks.py reads from the same weights? Exit code 77: skipped.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    server = subprocess.Popen(
        [sys.argv[1], "--models", str(ROOT / "bench/checkpoints"), "--host", "127.0.0.1", "--port", "0",
         "--device", "cpu", "--log-level", "error"], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().split()[-1]
        peer = [sys.executable, str(ROOT / "bench/python_server.py"),
                str(ROOT / "bench/checkpoints/fashion/1"), "--compare", address, "--image"]
        for image in sorted((ROOT / "checkpoints/fashion/examples").glob("*.jpg"))[::8]:
            code = subprocess.run([*peer, str(image)]).returncode
            if code:
                sys.exit(code)
    finally:
        server.kill()


main()
