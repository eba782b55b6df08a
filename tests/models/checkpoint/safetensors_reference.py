"""The safetensors format read and written by its description alone, to compare the C++ code with.

  safetensors_reference.py check FILE      the C++ test's file holds what it should
  safetensors_reference.py write FOLDER    the same content, by each writer there is

Where the `safetensors` package is installed, it takes part as a second reader and writer.
"""

import json
import pathlib
import struct
import sys

try:
    import numpy
except ImportError as missing:
    print(missing)
    sys.exit(77)

METADATA = {"format": "pt", "note": '"quoted" and é'}
# BF16, which numpy lacks, as the upper halves of float32.
STORAGE = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "?",
}
SHAPES = {"scalar": (), "empty": (3, 0, 2), "odd": (5, 3, 7)}


def pattern(dtype, shape):
    """The value at every flat index, as Pattern in safetensors_test.cc computes it."""
    index = numpy.arange(int(numpy.prod(shape, dtype=numpy.int64)), dtype=numpy.int64)
    value = (index * 37 + 11) % 101 - 50
    if dtype == "BOOL":
        flat = index % 3 == 0
    elif dtype == "U8":
        flat = value + 50
    elif dtype == "BF16":
        flat = value.astype("<f4").view("<u4") >> 16
    elif dtype in ("F64", "F32", "F16"):
        flat = value / 8
    else:
        flat = value * {"I64": 2**40 + 1, "I32": 2**20, "I16": 2**8, "I8": 1}[dtype]
    return flat.astype(STORAGE[dtype]).reshape(shape)


def expected():
    """Name -> (dtype, array), of every type and shape."""
    return {
        f"{dtype}.{kind}": (dtype, pattern(dtype, shape))
        for dtype in STORAGE
        for kind, shape in SHAPES.items()
    }


def check(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0, f"header of {length} bytes"
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == METADATA
    assert header.keys() == expected().keys(), header.keys()
    for name, (dtype, array) in expected().items():
        entry = header[name]
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == dtype, name
        assert begin % array.itemsize == 0, f"{name} is not aligned"
        got = numpy.frombuffer(data[8 + length :][begin:end], STORAGE[dtype])
        assert numpy.array_equal(got.reshape(entry["shape"]), array), name
    check_with_package(data)


def check_with_package(data):
    try:
        import safetensors
    except ImportError:
        print("the safetensors package is not installed: not compared with it")
        return
    tensors = dict(safetensors.deserialize(data))
    assert tensors.keys() == expected().keys()
    for name, (dtype, array) in expected().items():
        assert tensors[name]["dtype"] == dtype, name
        assert tuple(tensors[name]["shape"]) == array.shape, name
        assert bytes(tensors[name]["data"]) == array.tobytes(), name
    try:
        import safetensors.torch
    except ImportError:
        return
    for name, tensor in safetensors.torch.load(data).items():
        assert tuple(tensor.shape) == expected()[name][1].shape, name


def write(folder):
    """Data in the reverse order of the names, an indented header without padding."""
    header = {}
    data = b""
    for name, (dtype, array) in reversed(expected().items()):
        begin = len(data)
        data += array.tobytes()
        offsets = [begin, len(data)]
        header[name] = {"shape": list(array.shape), "data_offsets": offsets, "dtype": dtype}
    header["__metadata__"] = METADATA
    text = json.dumps(header, indent=1).encode()
    folder = pathlib.Path(folder)
    (folder / "literal.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    write_with_package(folder / "package.safetensors")


def write_with_package(path):
    try:
        import safetensors.torch
        import torch
    except ImportError:
        return
    tensors = {}
    for name, (dtype, array) in expected().items():
        if dtype == "BF16":
            tensors[name] = torch.from_numpy(array.view("<i2")).view(torch.bfloat16)
        else:
            tensors[name] = torch.from_numpy(array)
    safetensors.torch.save_file(tensors, path, METADATA)


if __name__ == "__main__":
    {"check": check, "write": write}[sys.argv[1]](sys.argv[2])
