"""The networks once more, in PyTorch and float64, straight from the papers' formulas.

StyleGAN2 (Karras et al. 2020) in its fused form: the style scales the *weights*, each sample has its
own, and one grouped convolution applies them. Resampling is the textbook's upfirdn: zeros are
inserted, the border padded, the flipped kernel convolved, samples dropped. MobileNetV2 is
torchvision's. Each is compared with what C++ computed from the same weights.
"""

import math
import sys

import reference_folder

torch, torchvision, numpy = reference_folder.require("torch", "torchvision", "numpy")
F = torch.nn.functional
TOLERANCE = 1e-4
BLUR = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])).double()
BLUR /= BLUR.sum()


def upfirdn(x, kernel, up=1, down=1, pad=(0, 0)):
    n, channels, height, width = x.shape
    spread = x.new_zeros(n, channels, height * up, width * up)
    spread[:, :, ::up, ::up] = x
    spread = F.pad(spread, (pad[0], pad[1], pad[0], pad[1]))
    spread = spread.reshape(n * channels, 1, *spread.shape[2:])
    y = F.conv2d(spread, torch.flip(kernel, (0, 1))[None, None])
    y = y.reshape(n, channels, *y.shape[2:])
    return y[:, :, ::down, ::down]


def activate(x, bias):
    x = x + bias.reshape(1, -1, *([1] * (x.dim() - 2)))
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def linear(weights, name, x, lr_multiplier=1.0):
    weight = weights[name + ".weight"]
    return x @ (weight * lr_multiplier / math.sqrt(weight.shape[1])).T + (
        weights[name + ".bias"] * lr_multiplier
    )


def modulated_conv(x, weight, style, up=False, demodulate=True):
    n, channels, height, width = x.shape
    out, _, k, _ = weight.shape
    per_sample = weight[None] * style[:, None, :, None, None] / math.sqrt(channels * k * k)
    if demodulate:
        per_sample = per_sample * torch.rsqrt(
            per_sample.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8
        )
    grouped = x.reshape(1, n * channels, height, width)
    if up:
        kernels = per_sample.transpose(1, 2).reshape(n * channels, out, k, k)
        y = F.conv_transpose2d(grouped, kernels, stride=2, groups=n)
    else:
        kernels = per_sample.reshape(n * out, channels, k, k)
        y = F.conv2d(grouped, kernels, padding=k // 2, groups=n)
    y = y.reshape(n, out, *y.shape[2:])
    return upfirdn(y, BLUR * 4, pad=(1, 1)) if up else y


class Generator:
    def __init__(self, weights):
        self.weights = weights
        self.convs = sum(name.endswith("_noise_strength") for name in weights)
        self.rgbs = sum(name.startswith("to_rgb") and name.endswith("_bias") for name in weights)

    def styles(self, w):
        """w: [N, layers, D]; convolution l reads latent l, to_rgb layer j latent 2j + 1."""
        conv = [linear(self.weights, f"conv{l}_affine", w[:, l]) for l in range(self.convs)]
        rgb = [linear(self.weights, f"to_rgb{j}_affine", w[:, 2 * j + 1]) for j in range(self.rgbs)]
        return conv, rgb

    def image(self, conv_styles, rgb_styles):
        n = conv_styles[0].shape[0]
        x = self.weights["const"].repeat(n, 1, 1, 1)
        image = None
        for l in range(self.convs):
            up = l % 2 == 1
            x = modulated_conv(x, self.weights[f"conv{l}_weight"], conv_styles[l], up=up)
            x = x + self.weights[f"conv{l}_noise_strength"] * self.weights[f"conv{l}_noise"]
            x = activate(x, self.weights[f"conv{l}_bias"])
            if up:
                continue
            j = l // 2
            weight = self.weights[f"to_rgb{j}_weight"]
            rgb = modulated_conv(x, weight, rgb_styles[j], demodulate=False)
            rgb = rgb + self.weights[f"to_rgb{j}_bias"].reshape(1, -1, 1, 1)
            image = rgb if image is None else rgb + upfirdn(image, BLUR * 4, up=2, pad=(2, 1))
        return image


def residual_body(weights, x, stddev_group):
    def conv(name, x, stride=1):
        weight = weights[name + ".weight"]
        _, channels, k, _ = weight.shape
        padding = k // 2 if stride == 1 else 0
        return F.conv2d(x, weight / math.sqrt(channels * k * k), stride=stride, padding=padding)

    x = activate(conv("body.from_rgb", x), weights["body.from_rgb.bias"])
    block = 0
    while f"body.block{block}_conv1.weight" in weights:
        name = f"body.block{block}"
        main = activate(conv(f"{name}_conv1", x), weights[f"{name}_conv1.bias"])
        main = conv(f"{name}_conv2", upfirdn(main, BLUR, pad=(2, 2)), stride=2)
        main = activate(main, weights[f"{name}_conv2.bias"])
        skip = conv(f"{name}_skip", upfirdn(x, BLUR, pad=(1, 1)), stride=2)
        x = (main + skip) / math.sqrt(2)
        block += 1
    if stddev_group > 0:
        n, channels, height, width = x.shape
        group = min(n, stddev_group)
        feature = x.new_empty(n)
        for sub in range(n // group):  # sample i belongs to subgroup i mod (n / group)
            members = x[sub :: n // group]
            assert members.shape[0] == group
            deviation = (members.var(dim=0, unbiased=False) + 1e-8).sqrt()
            feature[sub :: n // group] = deviation.mean()
        x = torch.cat([x, feature.reshape(n, 1, 1, 1).expand(n, 1, height, width)], 1)
    x = activate(conv("body.final_conv", x), weights["body.final_conv.bias"])
    x = linear(weights, "body.final_linear", x.reshape(x.shape[0], -1))
    return linear(weights, "body.output", activate(x, torch.zeros(x.shape[1]).double()))


def mapping(weights, z, lr_multiplier):
    w = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    layer = 0
    while f"layer{layer}.weight" in weights:
        w = linear(weights, f"layer{layer}", w, lr_multiplier)
        w = activate(w, torch.zeros(w.shape[1]).double())
        layer += 1
    return w


def mobilenet(weights, x):
    """Logits, and the activations after features 1, 3, 6 and 13."""
    classes = weights["classifier.1.weight"].shape[0]
    model = torchvision.models.mobilenet_v2(num_classes=classes)
    first = model.features[0][0]
    if x.shape[1] != first.in_channels:
        model.features[0][0] = torch.nn.Conv2d(
            x.shape[1], first.out_channels, 3, stride=2, padding=1, bias=False
        )
    model = model.double().eval()
    # num_batches_tracked, an integer, plays no part in evaluation mode.
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing
    taps = []
    y = x
    for index, layer in enumerate(model.features):
        y = layer(y)
        if index in (1, 3, 6, 13):
            taps.append(y)
    return model(x), taps


def under(arrays, prefix):
    return {
        name[len(prefix) :]: torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def compare_case(arrays, case, comparison):
    def tensor(name):
        return torch.from_numpy(arrays[f"{case}/{name}"])

    def check(name, got):
        comparison.check(f"{case}/{name}", arrays[f"{case}/{name}"], got.numpy())

    generator = Generator(under(arrays, f"{case}/weights/generator."))
    w = tensor("w")
    conv, rgb = generator.styles(w[:, None].expand(-1, generator.convs + 1, -1))
    check("conv_styles", torch.cat(conv, 1))
    check("rgb_styles", torch.cat(rgb, 1))
    check("image", generator.image(conv, rgb))
    mixed_conv, mixed_rgb = generator.styles(tensor("mixed_w"))
    check("mixed_conv_styles", torch.cat(mixed_conv, 1))
    check("mixed_rgb_styles", torch.cat(mixed_rgb, 1))

    x = tensor("x")
    groups = {name: int(tensor(name + "_stddev_group")) for name in ("encoder", "discriminator")}
    latent = residual_body(under(arrays, f"{case}/weights/encoder."), x, groups["encoder"])
    check("latent", latent)
    scores = residual_body(
        under(arrays, f"{case}/weights/discriminator."), x, groups["discriminator"]
    )
    probabilities = tensor("probabilities")
    check("scores", (scores * probabilities).sum(1) if scores.shape[1] > 1 else scores[:, 0])
    if f"{case}/mapped" in arrays:
        lr_multiplier = float(tensor("mapping_lr_multiplier"))
        weights = under(arrays, f"{case}/weights/mapping.")
        check("mapped", mapping(weights, tensor("z"), lr_multiplier))
    logits, taps = mobilenet(under(arrays, f"{case}/weights/classifier."), x)
    check("logits", logits)
    for index, tap in enumerate(taps):
        check(f"tap{index}", tap)


def main():
    arrays = reference_folder.load(sys.argv[1])
    comparison = reference_folder.Comparison(TOLERANCE)
    with torch.no_grad():
        for case in sorted({name.split("/")[0] for name in arrays}):
            compare_case(arrays, case, comparison)
    comparison.finish()


main()
