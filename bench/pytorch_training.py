"""Images a second of a StylEx training step in PyTorch, eager or compiled, in bfloat16 by autocast.

  python bench/pytorch_training.py CONFIG.json --threads 1 --compile --steps 32

Written as one would write it in PyTorch (networks: Karras et al. 2020; losses: Lang et al. 2021), with
the shapes, batch, losses and intervals of a config of `stylex-train`: what that is measured against.
The photographs are random numbers, already decoded; weights are random. R1 is computed eagerly, because
compiled graphs have no second derivatives. The last line is one JSON object.
"""

import argparse
import copy
import json
import math
import pathlib
import time

import torch
import torch.nn.functional as F
from torch import nn

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
          (6, 320, 1, 1))  # expansion, width, blocks, stride: MobileNetV2 (Sandler et al. 2018)
FEATURES = (1, 3, 6, 13)  # layers of the classifier whose activations the perceptual loss compares


def activate(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Scaled(nn.Module):
    """A convolution, or with side 0 a linear layer, with equalised learning rate."""

    def __init__(self, n_in, n_out, side, bias=True):
        super().__init__()
        shape = (n_out, n_in, side, side) if side else (n_out, n_in)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        self.gain = 1 / math.sqrt(math.prod(shape[1:]))
        self.side = side

    def forward(self, x, stride=1):
        weight = self.weight * self.gain
        if not self.side:
            return F.linear(x, weight, self.bias)
        return F.conv2d(x, weight, self.bias, stride, self.side // 2 if stride == 1 else 0)


class Blur(nn.Module):
    def __init__(self, gain=1.0):
        super().__init__()
        self.register_buffer("kernel", torch.outer(TAPS, TAPS)[None, None] * gain)

    def forward(self, x, padding, stride=1):
        kernel = self.kernel.expand(x.shape[1], 1, 4, 4).to(x.dtype)
        return F.conv2d(x, kernel, None, stride, padding, 1, x.shape[1])


class Body(nn.Module):
    """Encoder or discriminator: StyleGAN2's residual one."""

    def __init__(self, channels, image_channels, outputs):
        super().__init__()
        self.blur = Blur()
        self.from_rgb = Scaled(image_channels, channels[-1], 1)
        pairs = list(zip(channels[:0:-1], channels[-2::-1]))
        self.first = nn.ModuleList(Scaled(n, n, 3) for n, _ in pairs)
        self.second = nn.ModuleList(Scaled(n, m, 3) for n, m in pairs)
        self.skip = nn.ModuleList(Scaled(n, m, 1, bias=False) for n, m in pairs)
        self.last = Scaled(channels[0], channels[0], 3)
        self.hidden = Scaled(channels[0] * 16, channels[0], 0)
        self.output = Scaled(channels[0], outputs, 0)

    def forward(self, x):
        x = activate(self.from_rgb(x))
        features = [x]
        for first, second, skip in zip(self.first, self.second, self.skip):
            main = activate(second(self.blur(activate(first(x)), 2), stride=2))
            x = (main + skip(self.blur(x, 1, stride=2))) / math.sqrt(2)
            features.append(x)
        x = activate(self.hidden(activate(self.last(x)).flatten(1)))
        return self.output(x), features


class Modulated(nn.Module):
    def __init__(self, latent, n_in, n_out, side, up=False):
        super().__init__()
        self.affine = Scaled(latent, n_in, 0)
        nn.init.ones_(self.affine.bias)
        self.weight = nn.Parameter(torch.randn(n_out, n_in, side, side))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.strength = nn.Parameter(torch.zeros(()))
        self.gain = 1 / math.sqrt(n_in * side * side)
        self.side, self.up = side, up
        self.blur = Blur(4.0)

    def forward(self, x, w):
        style = self.affine(w)
        weight = self.weight * self.gain
        x = x * style[:, :, None, None].to(x.dtype)
        if self.side == 1:
            return F.conv2d(x, weight, self.bias)
        if self.up:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1)
        else:
            x = F.conv2d(x, weight, padding=1)
        energy = style.float().square() @ weight.square().sum((2, 3)).t()
        x = x * torch.rsqrt(energy + 1e-8)[:, :, None, None].to(x.dtype)
        noise = torch.randn(x.shape[0], 1, *x.shape[2:], dtype=x.dtype)
        return activate(x + noise * self.strength.to(x.dtype) + self.bias[:, None, None].to(x.dtype))


class Generator(nn.Module):
    def __init__(self, channels, image_channels, latent):
        super().__init__()
        self.const = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.convs = nn.ModuleList([Modulated(latent, channels[0], channels[0], 3)])
        for n_in, n_out in zip(channels, channels[1:]):
            self.convs.append(Modulated(latent, n_in, n_out, 3, up=True))
            self.convs.append(Modulated(latent, n_out, n_out, 3))
        self.rgbs = nn.ModuleList(Modulated(latent, n, image_channels, 1) for n in channels)

    def forward(self, w):
        x = self.const.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image = None
        for layer, conv in enumerate(self.convs):
            x = conv(x, w)
            if layer % 2 == 0:
                rgb = self.rgbs[layer // 2](x, w)
                image = rgb if image is None else rgb + F.interpolate(
                    image, scale_factor=2, mode="bilinear", align_corners=False)
        return image.float()


class Classifier(nn.Module):
    def __init__(self, image_channels, classes, multiplier):
        super().__init__()

        def width(n):
            n *= multiplier
            rounded = max(8, int(n + 4) // 8 * 8)
            return rounded + 8 if rounded < 0.9 * n else rounded

        def layer(n_in, n_out, side, stride, groups=1, act=True):
            parts = [nn.Conv2d(n_in, n_out, side, stride, side // 2, groups=groups, bias=False),
                     nn.BatchNorm2d(n_out)]
            return nn.Sequential(*parts, *([nn.ReLU6()] if act else []))

        n = width(32)
        self.layers = nn.ModuleList([layer(image_channels, n, 3, 2)])
        self.residual = [False]
        for expansion, out, blocks, stride in STAGES:
            for block in range(blocks):
                m, step, hidden = width(out), stride if block == 0 else 1, n * expansion
                self.layers.append(nn.Sequential(
                    *([layer(n, hidden, 1, 1)] if expansion > 1 else []),
                    layer(hidden, hidden, 3, step, hidden), layer(hidden, m, 1, 1, act=False)))
                self.residual.append(step == 1 and n == m)
                n = m
        last = width(1280 * max(1.0, multiplier) / multiplier)
        self.layers.append(layer(n, last, 1, 1))
        self.residual.append(False)
        self.linear = nn.Linear(last, classes)

    def forward(self, x):
        features = []
        for index, (part, residual) in enumerate(zip(self.layers, self.residual)):
            y = part(x)
            x = x + y if residual else y
            if index in FEATURES:
                features.append(x)
        return self.linear(x.mean((2, 3))), features


def unit(x):
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-3)


class Training:
    def __init__(self, config, compiled):
        self.options, model = config["stylex"], config["model"]
        self.weights = self.options["weights"]
        colours, labels = model.get("imageChannels", 3), config["labels"]
        self.latent = model["generator"]["latentSize"]
        self.resolution, self.colours = model["resolution"], colours
        self.batch = self.options["batchSize"]
        self.classifier = Classifier(colours, labels, model["classifier"].get("widthMultiplier", 1.0))
        self.classifier.eval().requires_grad_(False)
        self.encoder = Body(model["encoder"]["channels"], colours, self.latent)
        self.generator = Generator(model["generator"]["channels"], colours, self.latent)
        self.discriminator = Body(model["discriminator"]["channels"], colours, 1)
        self.mapping = nn.Sequential(*(Scaled(self.latent, self.latent, 0)
                                       for _ in range(model["generator"].get("mappingLayers", 2))))
        self.noise = nn.Parameter(torch.full((self.latent,), -2.3))
        networks = (self.classifier, self.encoder, self.generator, self.discriminator)
        for network in networks:
            network.to(memory_format=torch.channels_last)
        self.plain_discriminator = self.discriminator
        self.drawing = nn.ModuleList([self.generator, self.mapping, self.encoder])
        self.average = copy.deepcopy(self.drawing)
        self.g_adam = torch.optim.Adam([*self.drawing.parameters(), self.noise], 2e-3, (0.0, 0.99))
        self.d_adam = torch.optim.Adam(self.discriminator.parameters(), 2e-3, (0.0, 0.99))
        if compiled:
            self.classifier, self.encoder, self.generator, self.discriminator = (
                torch.compile(network) for network in networks)
        self.step = 0

    def draw(self, real, mapped):
        if mapped:
            return self.generator(self.mapping(torch.randn(self.batch, self.latent))), None
        latent = self.encoder(real)[0].float()
        return self.generator(latent + torch.randn_like(latent) * self.noise.exp()), latent

    def train_discriminator(self, real, fake):
        with torch.autocast("cpu", torch.bfloat16):
            loss = (F.softplus(-self.discriminator(real)[0].float()).mean() +
                    F.softplus(self.discriminator(fake.detach())[0].float()).mean())
        self.d_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.d_adam.step()
        interval = self.options.get("r1Interval", 16)
        if self.step % interval == 0:
            images = real.clone().requires_grad_(True)
            scores = self.plain_discriminator(images)[0]
            gradient, = torch.autograd.grad(scores.sum(), images, create_graph=True)
            self.d_adam.zero_grad(set_to_none=True)
            (gradient.square().sum((1, 2, 3)).mean() * interval / 4).backward()
            self.d_adam.step()

    def reconstruction(self, real, fake, real_taps, fake_taps, latent):
        weight, error = self.weights, fake - real
        pixels = error.abs().mean() + weight.get("l2", 0) * error.square().mean()
        pixels = pixels + weight.get("l1Differences", 0) * (error.diff(dim=2).abs().mean() +
                                                           error.diff(dim=3).abs().mean())
        loss = weight["l1"] * pixels
        if weight.get("perceptual"):
            taps = [(unit(a.float()) - unit(b.float())).abs().mean() for a, b in zip(real_taps, fake_taps)]
            loss = loss + weight["perceptual"] * sum(taps) / len(taps)
        interval = self.options.get("latentInterval", 1)
        if self.step % interval == 0:
            again = self.encoder(fake)[0].float()
            loss = loss + weight["latent"] * interval * (again - latent).abs().mean()
        if weight.get("latentKl"):
            kl = latent.square().mean(0) + (2 * self.noise).exp() - 2 * self.noise - 1
            loss = loss + weight["latentKl"] * 0.5 * kl.sum()
        return loss

    def train_generator(self, real, fake, latent, logits, taps):
        self.plain_discriminator.requires_grad_(False)
        scores, fake_features = self.discriminator(fake)
        loss = self.weights["adversarial"] * F.softplus(-scores.float()).mean()
        fake_logits, fake_taps = self.classifier(fake)
        kl = F.kl_div(F.log_softmax(fake_logits.float(), 1), F.softmax(logits.float(), 1),
                      reduction="batchmean")
        loss = loss + self.weights["klMapping" if latent is None else "kl"] * kl
        if latent is not None:
            loss = loss + self.reconstruction(real, fake, taps, fake_taps, latent)
            if self.weights.get("featureMatching"):
                with torch.no_grad():
                    real_features = self.discriminator(real)[1]
                pairs = list(zip(real_features, fake_features))
                difference = sum((a - b).abs().mean(dtype=torch.float32) for a, b in pairs) / len(pairs)
                loss = loss + self.weights["featureMatching"] * difference
        return loss

    def train_step(self):
        real = torch.rand(self.batch, self.colours, self.resolution, self.resolution) * 2 - 1
        real = real.contiguous(memory_format=torch.channels_last)
        interval = self.options.get("mappingInterval", 0)
        mapped = interval > 0 and self.step % interval == interval - 1
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                logits, taps = self.classifier(real)
            fake, latent = self.draw(real, mapped)
        self.plain_discriminator.requires_grad_(True)
        self.train_discriminator(real, fake)
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.train_generator(real, fake, latent, logits, taps)
        self.g_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.g_adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.drawing.parameters()), 0.01)
        self.step += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--labels", type=int, default=8, help="classes of the classifier")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--warm-up", type=int, default=18, help="steps that do not count")
    parser.add_argument("--steps", type=int, default=32, help="that count")
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    training = Training({"labels": options.labels, **json.loads(options.config.read_text())},
                        options.compile)
    clock = time.process_time if options.cpu_time else time.monotonic
    for _ in range(options.warm_up):  # a whole period of the intervals, so that all is compiled
        training.train_step()
    start = clock()
    for _ in range(options.steps):
        training.train_step()
    seconds = clock() - start
    print(json.dumps({"torch": torch.__version__, "compiled": options.compile,
                      "threads": options.threads,
                      "images_a_second": round(options.steps * training.batch / seconds, 2)}))


main()
