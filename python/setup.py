"""Builds the client's wheel: `pip install ./python` in a checkout, whose ../proto the stubs are made of."""
import pathlib
import re
import sys

import setuptools
from setuptools.command.build_py import build_py

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import stubs  # noqa: E402


def project_version():
    build = HERE.parent / 'CMakeLists.txt'
    if not build.is_file():
        raise SystemExit(f'{build}: is not there; the client is installed from a checkout: pip install ./python')
    version, = re.findall(r'^project\(stylex VERSION ([\d.]+) ', build.read_text(), re.MULTILINE)
    return version


class BuildWithStubs(build_py):
    """Also generates stylex/v1, into the wheel alone."""

    def run(self):
        super().run()
        stubs.generate(HERE.parent / 'proto', pathlib.Path(self.build_lib))


setuptools.setup(
    version=project_version(),
    packages=['stylex'],
    package_data={'stylex': ['py.typed']},
    install_requires=['numpy', 'Pillow', *stubs.runtime_requirements()],
    cmdclass={'build_py': BuildWithStubs},
)
