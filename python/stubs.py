"""Generates the modules stylex.v1.*_pb2 and *_pb2_grpc from the service's definition.

    stubs.py FOLDER     # writes FOLDER/stylex/v1/

By grpcio-tools or, where they are not installed, by Debian's protobuf-compiler and protobuf-compiler-grpc.
"""
import pathlib
import shutil
import subprocess
import sys

PROTOS = ['explanation', 'attribute_index', 'known_truth', 'model_config']


def _compiler():
    """The command that generates, without the protos and what is said of them."""
    try:
        import grpc_tools  # noqa: F401
    except ImportError:
        plugin = shutil.which('grpc_python_plugin')
        if not (shutil.which('protoc') and plugin):
            raise SystemExit('neither grpcio-tools (pip install grpcio-tools) nor protoc with grpc_python_plugin '
                             '(apt-get install protobuf-compiler protobuf-compiler-grpc) is installed') from None
        return ['protoc', f'--plugin=protoc-gen-grpc_python={plugin}']
    import importlib.resources
    wellknown = importlib.resources.files('grpc_tools') / '_proto'
    return [sys.executable, '-m', 'grpc_tools.protoc', f'-I{wellknown}']


def runtime_requirements():
    """Generated code refuses libraries that are older than its generator."""
    try:
        from importlib.metadata import version
        return [f'grpcio>={version("grpcio-tools")}', f'protobuf>={version("protobuf")}']
    except Exception:  # no grpcio-tools: the distribution's own packages fit each other
        return ['grpcio', 'protobuf']


def generate(proto, folder):
    """Writes stylex/v1/ below `folder` from the definitions below `proto`."""
    if not (proto / 'stylex/v1/explanation.proto').is_file():
        raise SystemExit(f'{proto}: holds no stylex/v1/explanation.proto; the client is built in a checkout')
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([*_compiler(), f'-I{proto}', f'--python_out={folder}', f'--grpc_python_out={folder}',
                    *(f'stylex/v1/{name}.proto' for name in PROTOS)], check=True)
    (folder / 'stylex/v1/__init__.py').write_text('"""Generated from the service\'s definition."""\n')


if __name__ == '__main__':
    generate(pathlib.Path(__file__).resolve().parents[1] / 'proto', pathlib.Path(sys.argv[1]))
