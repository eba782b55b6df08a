"""StylEx's networks in eager PyTorch, as one would write them on a first day.

Read from a checkpoint's safetensors by the papers' formulas (StyleGAN2: Karras et al. 2020; StylEx:
Lang et al. 2021), without a line of the C++ code: also a second opinion on what the server answers.
"""

import json
import math
import pathlib
import struct

import numpy
import torch
import torch.nn.functional as F
import torchvision

DTYPES = {"F32": "<f4", "I64": "<i8"}
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
BLUR = torch.outer(TAPS, TAPS)


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = numpy.frombuffer(data[8 + length + begin : 8 + length + end], DTYPES[entry["dtype"]])
        tensors[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return tensors


def under(tensors, prefix):
    return {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}


def activate(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def blur(x, pad, stride=1, gain=1.0):
    kernel = (BLUR * gain).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, stride=stride, padding=pad, groups=x.shape[1])


def scaled(weight):
    """Equalised learning rate: what is stored has unit variance."""
    return weight / math.sqrt(weight[0].numel())


class Encoder:
    def __init__(self, tensors):
        self.weight = {n[:-7]: scaled(t) for n, t in tensors.items() if n.endswith(".weight")}
        self.bias = {n[:-5]: t for n, t in tensors.items() if n.endswith(".bias")}
        self.blocks = sum(name.endswith("_skip") for name in self.weight)

    def conv(self, name, x, stride=1):
        padding = self.weight[name].shape[2] // 2 if stride == 1 else 0
        return F.conv2d(x, self.weight[name], self.bias.get(name), stride, padding)

    def linear(self, name, x):
        return F.linear(x, self.weight[name], self.bias[name])

    def __call__(self, x):
        x = activate(self.conv("from_rgb", x))
        for block in range(self.blocks):
            main = activate(self.conv(f"block{block}_conv1", x))
            main = activate(self.conv(f"block{block}_conv2", blur(main, 2), stride=2))
            skip = self.conv(f"block{block}_skip", blur(x, 1, stride=2))
            x = (main + skip) / math.sqrt(2)
        x = activate(self.conv("final_conv", x))
        return self.linear("output", activate(self.linear("final_linear", x.flatten(1))))


class Generator:
    def __init__(self, tensors):
        self.t = tensors
        self.convs = sum(name.endswith("_noise_strength") for name in tensors)
        self.rgbs = sum(name.startswith("to_rgb") and name.endswith("_bias") for name in tensors)

    def affine(self, name, w):
        return F.linear(w, scaled(self.t[f"{name}.weight"]), self.t[f"{name}.bias"])

    def styles(self, w):
        conv = [self.affine(f"conv{layer}_affine", w) for layer in range(self.convs)]
        rgb = [self.affine(f"to_rgb{layer}_affine", w) for layer in range(self.rgbs)]
        return conv, rgb

    def conv(self, layer, x, style):
        weight = scaled(self.t[f"conv{layer}_weight"])
        modulated = x * style[:, :, None, None]
        if layer % 2 == 1:
            y = F.conv_transpose2d(modulated, weight.transpose(0, 1), stride=2)
            y = blur(y, 1, gain=4)
        else:
            y = F.conv2d(modulated, weight, padding=1)
        energy = F.linear(style.square(), weight.square().sum((2, 3)))
        y = y * torch.rsqrt(energy + 1e-8)[:, :, None, None]
        y = y + self.t[f"conv{layer}_noise"] * self.t[f"conv{layer}_noise_strength"]
        return activate(y + self.t[f"conv{layer}_bias"][:, None, None])

    def __call__(self, conv_styles, rgb_styles):
        x = self.t["const"].expand(conv_styles[0].shape[0], -1, -1, -1)
        image = None
        for layer in range(self.convs):
            x = self.conv(layer, x, conv_styles[layer])
            if layer % 2 == 0:
                name = f"to_rgb{layer // 2}"
                modulated = x * rgb_styles[layer // 2][:, :, None, None]
                rgb = F.conv2d(modulated, scaled(self.t[f"{name}_weight"]), self.t[f"{name}_bias"])
                image = rgb if image is None else rgb + self.upsample(image)
        return image.clamp(-1, 1)

    @staticmethod
    def upsample(image):
        channels = image.shape[1]
        kernel = (BLUR * 4).expand(channels, 1, 4, 4)
        return F.conv_transpose2d(image, kernel, stride=2, padding=1, groups=channels)


class Stylex:
    """Of checkpoints like the shipped one: built-in classifier, softmax condition, no stddev."""

    def __init__(self, folder):
        self.config = json.loads((pathlib.Path(folder) / "model.json").read_text())
        tensors = read_safetensors(pathlib.Path(folder) / "weights.safetensors")
        generator = self.config["generator"]
        if self.config["classifier"]["architecture"] != "mobilenet_v2":
            raise ValueError("the classifier is not the built-in one")
        if generator["conditioning"] != "CONDITIONING_SOFTMAX" or "conditionScale" in generator:
            raise ValueError("the generator is not conditioned on plain probabilities")
        if self.config["encoder"].get("minibatchStddev"):
            raise ValueError("the encoder looks at the whole batch")
        self.resolution = self.config["resolution"]
        self.channels = self.config["imageChannels"]
        self.labels = self.config["labels"]
        self.encoder = Encoder(under(tensors, "encoder.body."))
        self.generator = Generator(under(tensors, "generator."))
        self.classifier = self.read_classifier(under(tensors, "classifier."))

    def read_classifier(self, tensors):
        width = self.config["classifier"].get("widthMultiplier", 1.0)
        network = torchvision.models.mobilenet_v2(num_classes=len(self.labels), width_mult=width)
        first = network.features[0][0]
        network.features[0][0] = torch.nn.Conv2d(
            self.channels, first.out_channels, 3, stride=2, padding=1, bias=False
        )
        network.load_state_dict(tensors)
        network.eval()
        temperature = self.config["classifier"].get("temperature", 1.0)
        return lambda x: network(x) / temperature

    def encode(self, image):
        """Logits, w, and the styles of convolutions and to_rgb layers."""
        logits = self.classifier(image)
        w = torch.cat([self.encoder(image), torch.softmax(logits, 1)], 1)
        return logits, w, *self.generator.styles(w)
