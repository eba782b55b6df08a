"""Is the wheel whole? Builds it without a network, by the tools that this Python has. Exit code 77: skipped."""
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

import checkout

for module in ('pip', 'setuptools', 'wheel'):
    if importlib.util.find_spec(module) is None:
        checkout.skip(f'no module {module} (Debian: python3-{module})')
checkout.import_client()

with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    shutil.copytree(checkout.ROOT / 'python', folder / 'python')
    shutil.copytree(checkout.ROOT / 'proto', folder / 'proto')
    shutil.copy(checkout.ROOT / 'CMakeLists.txt', folder)
    built = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-deps', '--no-index',
                            '--wheel-dir', folder, folder / 'python'], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    wheel, = folder.glob('*.whl')
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        metadata = files.read(next(one for one in names if one.endswith('/METADATA'))).decode()
    version, = re.findall(r'^project\(stylex VERSION ([\d.]+) ', (checkout.ROOT / 'CMakeLists.txt').read_text(), re.MULTILINE)
    assert wheel.name == f'stylex_client-{version}-py3-none-any.whl', wheel.name
    for needed in ('stylex/__init__.py', 'stylex/client.py', 'stylex/py.typed', 'stylex/v1/__init__.py',
                   'stylex/v1/explanation_pb2.py', 'stylex/v1/explanation_pb2_grpc.py', 'stylex/v1/model_config_pb2.py'):
        assert needed in names, f'{needed} is not in the wheel: {sorted(names)}'
    for library in ('grpcio', 'protobuf', 'numpy', 'Pillow'):
        assert re.search(rf'^Requires-Dist: {library}\b', metadata, re.MULTILINE), metadata
    print(wheel.name, 'is whole')
