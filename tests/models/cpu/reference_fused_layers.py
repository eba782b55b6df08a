"""The fused layers once more, in float64 and in another form, with PyTorch's own gradients.

The modulated convolution is computed as StyleGAN2's paper writes it (Karras et al. 2020, equations 1 and
3): for every image the weights are scaled by the style and normalised, and each image is convolved with
weights of its own. Enlarging inserts zeros and filters; the residual block filters before every strided
convolution. Each FIR filter is two sums over shifted copies, one along each axis.
"""

import math
import sys

import reference_folder

numpy, torch = reference_folder.require("numpy", "torch")
TOLERANCE = 2e-5
F = torch.nn.functional


def activate(x):
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def fir(x, before, after, gain):
    """Filters with [1, 3, 3, 1] / 8 * gain along each axis of the zero-padded x."""
    x = F.pad(x, (before, after, before, after))
    taps = [gain / 8, 3 * gain / 8, 3 * gain / 8, gain / 8]
    for axis in (2, 3):
        length = x.shape[axis] - 3
        x = sum(tap * x.narrow(axis, shift, length) for shift, tap in enumerate(taps))
    return x


def with_zeros(x):
    """A zero after every sample, along both axes."""
    n, channels, height, width = x.shape
    wide = torch.stack([x, torch.zeros_like(x)], 4).reshape(n, channels, height, 2 * width)
    return torch.stack([wide, torch.zeros_like(wide)], 3).reshape(n, channels, 2 * height, 2 * width)


def enlarge(image):
    return fir(with_zeros(image), 2, 1, 2)


def modulated(x, style, weight, up):
    """Each image by itself, with weights w' = w s / |w s|."""
    results = []
    for n in range(x.shape[0]):
        scaled = weight / math.sqrt(weight.shape[1] * 9) * style[n].view(1, -1, 1, 1)
        scaled = scaled / torch.sqrt(scaled.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        image = x[n : n + 1]
        if up:
            # The 3x3 kernel spreads every sample over its neighbourhood: a convolution of the
            # image with zeros in between, by the kernel turned round.
            spread = F.pad(with_zeros(image), (2, 1, 2, 1))
            image = fir(F.conv2d(spread, scaled.flip(2, 3)), 1, 1, 2)
        else:
            image = F.conv2d(image, scaled, padding=1)
        results.append(image)
    return torch.cat(results)


def styled(t, up):
    y = modulated(t["x"], t["style"], t["weight"], up)
    y = activate(y + t["noise"] + t["bias"].view(1, -1, 1, 1))
    image = torch.einsum("nchw,npc->nphw", y, t["rgb_weight"])
    return y, image + t["rgb_bias"].view(1, -1, 1, 1) + enlarge(t["below"])


def residual(t):
    def conv(x, weight, bias, stride=1, padding=0):
        scale = 1 / math.sqrt(weight[0].numel())
        return F.conv2d(x, weight * scale, bias, stride, padding)

    main = activate(conv(t["x"], t["weight1"], t["bias1"], padding=1))
    main = activate(conv(fir(main, 2, 2, 1), t["weight2"], t["bias2"], stride=2))
    skip = conv(fir(t["x"], 1, 1, 1)[:, :, ::2, ::2], t["skip"], None)
    return (main + skip) / math.sqrt(2)


def inputs_of(arrays, prefix):
    return {name[len(prefix):]: torch.tensor(array).requires_grad_(True)
            for name, array in arrays.items() if name.startswith(prefix)}


def main():
    arrays = reference_folder.load(sys.argv[1])
    comparison = reference_folder.Comparison(TOLERANCE)

    def compare(layer, inputs, outputs):
        loss = 0
        for name, output in outputs.items():
            comparison.check(f"{layer} {name}", arrays[f"{layer} result {name}"],
                             output.detach().numpy())
            loss = loss + (output * torch.tensor(arrays[f"{layer} factors {name}"])).sum()
        names = list(inputs)
        for name, gradient in zip(names, torch.autograd.grad(loss, [inputs[n] for n in names])):
            comparison.check(f"{layer} gradient of {name}",
                             arrays[f"{layer} gradient of {name}"], gradient.numpy())

    for layer in ("plain", "up"):
        inputs = inputs_of(arrays, f"{layer} input ")
        y, image = styled(inputs, up=layer == "up")
        compare(layer, inputs, {"y": y, "image": image})
    inputs = inputs_of(arrays, "block input ")
    compare("block", inputs, {"y": residual(inputs)})
    comparison.finish()


main()
