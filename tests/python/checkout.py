"""What the tests of the Python client share: the package with its stubs, and a server. Exit code 77: skipped."""
import atexit
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(77)


def import_client():
    """The module stylex: this checkout's, with stubs that are generated now."""
    try:
        import grpc  # noqa: F401
        import numpy  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as missing:
        skip(f'{missing} (Debian: python3-grpcio python3-numpy python3-pil)')
    package = pathlib.Path(FOLDER.name) / 'stylex'
    package.mkdir()
    for source in (ROOT / 'python/stylex').iterdir():
        if source.is_file():
            (package / source.name).symlink_to(source)
    sys.path.insert(0, str(ROOT / 'python'))
    import stubs
    try:
        stubs.generate(ROOT / 'proto', pathlib.Path(FOLDER.name))
    except SystemExit as missing:
        skip(missing)
    sys.path.insert(0, FOLDER.name)
    import stylex
    return stylex


class Server:
    """stylex-server with the shipped checkpoints, on a free port."""

    def __init__(self, binary, *flags):
        self._process = subprocess.Popen(
            [binary, '--models', str(ROOT / 'checkpoints'), '--host', '127.0.0.1', '--port', '0', '--device', 'cpu',
             '--log-level', 'error', '--reload-interval', '0', *flags], stdout=subprocess.PIPE, text=True)
        self.address = self._process.stdout.readline().split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
