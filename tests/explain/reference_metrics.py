"""PSNR, SSIM, L1 and KL read literally from their definitions, against what C++ computed.

SSIM: Wang et al. 2004 with a Gaussian window of sigma 1.5 cut to 11 x 11 (scipy's truncate 3.5 is
radius 5), K1 0.01, K2 0.03, the mean over the windows inside the image, then over channels.
"""

import sys

import reference_folder

numpy, ndimage = reference_folder.require("numpy", "scipy.ndimage")
RANGE = 2.0


def psnr(a, b):
    error = numpy.mean((a - b) ** 2)
    return 100.0 if error == 0 else 10 * numpy.log10(RANGE**2 / error)


def ssim_of_channel(a, b):
    def window(x):
        return ndimage.gaussian_filter(x, 1.5, truncate=3.5)[5:-5, 5:-5]

    mean_a, mean_b = window(a), window(b)
    var_a = window(a * a) - mean_a**2
    var_b = window(b * b) - mean_b**2
    covariance = window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return numpy.mean(luminance * structure)


def kl(p_logits, q_logits):
    def softmax(x):
        e = numpy.exp(x - x.max())
        return e / e.sum()

    p, q = softmax(p_logits), softmax(q_logits)
    return numpy.sum(p * (numpy.log(p) - numpy.log(q)))


def gradient(image):
    dx = (image[:, :, 1:] - image[:, :, :-1])[:, :-1, :]
    dy = (image[:, 1:, :] - image[:, :-1, :])[:, :, :-1]
    return numpy.mean(numpy.hypot(dx, dy))


def small_parts(image):
    """(light, dark) masks of one image by scipy's grey-scale morphology, channel by channel."""
    window = 2 * int(round(min(image.shape[1:]) / 18)) + 1

    # Beyond the image there is nothing: neither the greatest nor the smallest.
    def dilate(x):
        return ndimage.maximum_filter(x, window, mode="constant", cval=-numpy.inf)

    def erode(x):
        return ndimage.minimum_filter(x, window, mode="constant", cval=numpy.inf)

    light = numpy.array([c - dilate(erode(c)) > 0.2 for c in image])
    dark = numpy.array([erode(dilate(c)) - c > 0.2 for c in image])
    return light, dark


def area(image):
    light, dark = small_parts(image)
    return (light | dark).any(axis=0).mean()


def found_area(original, drawn):
    near = numpy.ones((3, 3), bool)
    found = numpy.zeros(original.shape, bool)
    for of_original, of_drawn in zip(small_parts(original), small_parts(drawn)):
        for c, mask in enumerate(of_drawn):
            found[c] |= of_original[c] & ndimage.binary_dilation(mask, near)
    return found.any(axis=0).mean()


def check_detail(data, comparison):
    comparison.check("gradient", data["gradient"], numpy.array([gradient(x) for x in data["a"]]))
    for name in ("a", "large", "blurred"):
        areas = numpy.array([area(x) for x in data[name]])
        comparison.check(f"parts_of_{name}", data[f"parts_of_{name}"], areas)
    pairs = zip(data["large"], data["blurred"])
    comparison.check("found", data["found"], numpy.array([found_area(a, b) for a, b in pairs]))


def main():
    data = reference_folder.load(sys.argv[1])
    pairs = list(zip(data["a"], data["b"]))
    comparison = reference_folder.Comparison(tolerance=1e-5)
    comparison.check(
        "l1", data["l1"], numpy.array([numpy.mean(numpy.abs(a - b)) for a, b in pairs])
    )
    comparison.check("psnr", data["psnr"], numpy.array([psnr(a, b) for a, b in pairs]))
    ssim = [numpy.mean([ssim_of_channel(*channels) for channels in zip(a, b)]) for a, b in pairs]
    comparison.check("ssim", data["ssim"], numpy.array(ssim))
    check_detail(data, comparison)
    rows = zip(data["p"], data["q"])
    comparison.check("kl", data["kl"], numpy.array([kl(p, q) for p, q in rows]))
    comparison.finish()


main()
