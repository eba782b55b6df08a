"""Pictures on their way to the server and back."""
from __future__ import annotations

import base64
import io
import os
import pathlib
from typing import Any, Union

import numpy
import PIL.Image
import PIL.ImageOps

# A path, a whole image file, or pixels: PIL's, or uint8 [H, W] or [H, W, 3].
ImageLike = Union[str, 'os.PathLike[str]', bytes, PIL.Image.Image, 'numpy.ndarray[Any, Any]']


def png_of(picture: PIL.Image.Image) -> bytes:
    """A whole PNG file."""
    out = io.BytesIO()
    picture.save(out, format='PNG')
    return out.getvalue()


def plain(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Upright, grey or RGB, over white where it is transparent: as the server reads the file that it was opened from."""
    upright = PIL.ImageOps.exif_transpose(picture)
    if upright.mode.startswith(('I', 'F')):
        raise ValueError(f'image: a PIL image of mode {upright.mode}; 8 bits a channel are wanted')
    if upright.mode in ('RGBA', 'LA', 'PA') or 'transparency' in upright.info:
        drawn = upright.convert('RGBA')
        return PIL.Image.alpha_composite(PIL.Image.new('RGBA', drawn.size, 'white'), drawn).convert('RGB')
    return upright if upright.mode in ('L', 'RGB') else upright.convert('RGB')


def bytes_of(image: ImageLike) -> bytes:
    """The file that is sent for `image`: a given file as it is, pixels as PNG."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        path = pathlib.Path(image)
        if not path.is_file():
            raise FileNotFoundError(f'{path}: is no file; a JPEG, PNG or WebP file is wanted')
        return path.read_bytes()
    if isinstance(image, PIL.Image.Image):
        return png_of(plain(image))
    if isinstance(image, numpy.ndarray):
        grey = image.ndim == 2
        if image.dtype != numpy.uint8 or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
            raise ValueError(f'image: an array of {image.dtype} {list(image.shape)}; uint8 [H, W] or [H, W, 3] is wanted')
        return png_of(PIL.Image.fromarray(image))
    raise TypeError(f'image: a {type(image).__name__}; a path, the bytes of a file, a PIL image or an array is wanted')


def picture_of(data: bytes) -> PIL.Image.Image:
    """The picture in a file that the server has sent."""
    picture = PIL.Image.open(io.BytesIO(data))
    picture.load()
    return picture


def data_uri(picture: PIL.Image.Image) -> str:
    """For the src of an img element."""
    return 'data:image/png;base64,' + base64.b64encode(png_of(picture)).decode()
