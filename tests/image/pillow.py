"""What Pillow makes of pictures: the reference of the tests beside this file.

pillow.py resize REQUESTS ANSWERS     resizes each bitmap of the file REQUESTS
pillow.py compress REQUESTS ANSWERS   encodes and decodes each as JPEG
pillow.py write FOLDER                writes image files, and beside each its pixels as FILE.raw
"""

import io
import pathlib
import struct
import sys

import numpy
from PIL import Image, ImageOps


def pack(pixels):
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    height, width, channels = pixels.shape
    return struct.pack("<iii", width, height, channels) + pixels.astype(numpy.uint8).tobytes()


def take_bitmap(data, at):
    """The bitmap that begins there, and where it ends."""
    width, height, channels = struct.unpack_from("<iii", data, at)
    at += 12
    size = width * height * channels
    pixels = numpy.frombuffer(data, numpy.uint8, size, at).reshape(height, width, channels)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels), at + size


def resize(requests, answers):
    """A request: the bitmap, then the width and height wanted, or 0, 0 for its luma."""
    data = pathlib.Path(requests).read_bytes()
    at = 0
    with open(answers, "wb") as out:
        while at < len(data):
            image, at = take_bitmap(data, at)
            wanted = struct.unpack_from("<ii", data, at)
            at += 8
            if wanted == (0, 0):
                image = image.convert("L")
            else:
                image = image.resize(wanted, Image.BICUBIC)
            out.write(pack(numpy.array(image)))


def compress(requests, answers):
    """Each bitmap of the file REQUESTS as a JPEG file of quality 90 decodes, else by its defaults."""
    data = pathlib.Path(requests).read_bytes()
    at = 0
    with open(answers, "wb") as out:
        while at < len(data):
            image, at = take_bitmap(data, at)
            file = io.BytesIO()
            image.save(file, "JPEG", quality=90)
            out.write(pack(numpy.array(Image.open(file))))


def over_white(colors, alpha):
    alpha = alpha.astype(float)[:, :, None] / 255
    return numpy.rint(colors.astype(float) * alpha + 255 * (1 - alpha))


def read(path):
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # 16 bits
        return numpy.rint(numpy.array(image).astype(float) / 257)
    if image.mode == "1":
        return numpy.array(image.convert("L"))
    if image.mode in ("LA", "RGBA", "P") or "transparency" in image.info:
        grey = image.mode in ("L", "LA")
        rgba = numpy.array(image.convert("RGBA"))
        return over_white(rgba[:, :, :1] if grey else rgba[:, :, :3], rgba[:, :, 3])
    return numpy.array(image if image.mode in ("L", "RGB") else image.convert("RGB"))


def without_adobe_marker(jpeg):
    at = 2
    while jpeg[at + 1] != 0xEE:
        at += 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
    return jpeg[:at] + jpeg[at + 2 + struct.unpack_from(">H", jpeg, at + 2)[0] :]


def write(folder):
    random = numpy.random.RandomState(1)
    coarse = Image.fromarray(random.randint(0, 256, (5, 7, 4), numpy.uint8), "RGBA")
    rgba = coarse.resize((61, 43), Image.BICUBIC)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    deep = Image.fromarray(random.randint(0, 65536, (9, 11)).astype(numpy.uint16))
    palette = rgb.quantize(200)
    exif = Image.Exif()

    def save(image, name, **options):
        path = f"{folder}/{name}"
        image.save(path, **options)
        with open(path + ".raw", "wb") as out:
            out.write(pack(read(path)))

    for name, image in (("grey", grey), ("rgb", rgb), ("cmyk", rgb.convert("CMYK"))):
        save(image, f"{name}.jpg")
        save(image, f"{name}-progressive.jpg", progressive=True, quality=90)
        save(image, f"{name}-tables.jpg", optimize=True, quality=40)
    with open(f"{folder}/cmyk.jpg", "rb") as file:
        unmarked = without_adobe_marker(file.read())
    with open(f"{folder}/cmyk-unmarked.jpg", "wb") as out:
        out.write(unmarked)
    with open(f"{folder}/cmyk-unmarked.jpg.raw", "wb") as out:
        out.write(pack(read(f"{folder}/cmyk-unmarked.jpg")))
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        save(rgb, f"{subsampling.replace(':', '')}.jpg", subsampling=subsampling)
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        save(rgb, f"orientation-{orientation}.jpg", exif=exif)
    save(rgb.crop((0, 0, 1, 1)), "one-pixel.jpg")

    save(grey, "grey.png")
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        save(rgb, f"orientation-{orientation}.png", exif=exif)
    save(grey, "grey-transparent.png", transparency=int(grey.getpixel((3, 3))))
    save(grey.convert("1"), "bits.png")
    save(rgba.convert("LA"), "grey-alpha.png")
    save(rgb, "rgb.png", optimize=True)
    save(rgb, "rgb-transparent.png", transparency=rgb.getpixel((3, 3)))
    save(rgba, "rgba.png")
    save(deep, "deep.png")
    save(palette, "palette.png")
    save(rgb.quantize(11), "palette-4-bits.png", bits=4)
    save(palette, "palette-alpha.png", transparency=bytes(range(0, 200)))
    save(rgba.crop((0, 0, 1, 1)), "one-pixel.png")

    save(rgb, "rgb.webp", quality=80)
    save(rgb, "rgb-lossless.webp", lossless=True)
    save(rgba, "rgba.webp", lossless=True, exact=True)
    save(rgba, "rgba-lossy.webp", quality=60)
    exif[0x0112] = 6
    save(rgb, "orientation-6.webp", exif=exif, lossless=True)
    save(rgb.crop((0, 0, 1, 1)), "one-pixel.webp")


if __name__ == "__main__":
    {"resize": resize, "compress": compress, "write": write}[sys.argv[1]](*sys.argv[2:])
