"""LPIPS v0.1 once more, in float64: torchvision's networks and the formula of Zhang et al. 2018, eq. 1.

The activations are read where the paper does, after the ReLU that ends each group of layers, by
running torchvision's own `features` up to there. The gradient is autograd's.
"""

import sys

import reference_folder

numpy, torch, torchvision = reference_folder.require("numpy", "torch", "torchvision")
TOLERANCE = 2e-5
SHIFT = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).reshape(1, 3, 1, 1)
SCALE = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).reshape(1, 3, 1, 1)
# Layers of `features` whose outputs LPIPS uses.
TAPS = {
    "alexnet": (1, 4, 7, 9, 11),
    "vgg16": (3, 8, 15, 22, 29),
    "squeezenet1_1": (1, 4, 7, 9, 10, 11, 12),
}


def recognise(weights):
    if weights["features.0.weight"].shape[-1] == 11:
        return "alexnet"
    return "squeezenet1_1" if "features.3.squeeze.weight" in weights else "vgg16"


def read(folder):
    t = {k: torch.tensor(v) for k, v in reference_folder.load(folder).items()}
    prefix = "weights/"
    weights = {k[len(prefix) :]: v for k, v in t.items() if k.startswith(prefix)}
    return t, weights


def trunk(weights):
    name = recognise(weights)
    features = getattr(torchvision.models, name)().features.double().eval()
    last = max(TAPS[name])
    features = features[: last + 1]
    stored = {
        k[len("features.") :]: v for k, v in weights.items() if k.startswith("features.")
    }
    features.load_state_dict(stored, strict=True)
    return features, TAPS[name]


def activations(features, taps, images):
    x = (images.expand(-1, 3, -1, -1) - SHIFT) / SCALE
    for index, layer in enumerate(features):
        x = layer(x)
        if index in taps:
            yield x.clone()  # ReLUs are in place


def distance(weights, a, b):
    features, taps = trunk(weights)
    total = 0
    pairs = zip(activations(features, taps, a), activations(features, taps, b))
    for depth, (f, g) in enumerate(pairs):
        f = f / (f.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10)
        g = g / (g.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10)
        head = weights[f"lin{depth}.model.1.weight"]
        weighted = torch.nn.functional.conv2d((f - g) ** 2, head)
        total = total + weighted.mean(dim=(1, 2, 3))
    return total


def main():
    t, weights = read(sys.argv[1])
    comparison = reference_folder.Comparison(TOLERANCE)
    drawn = t["b"].clone().requires_grad_(True)
    result = distance(weights, t["a"], drawn)
    # Ratios, because distances of similar pictures are far below 1.
    ratio = t["distance"] / result.detach()
    comparison.check("distance", ratio.numpy(), numpy.ones(len(ratio)))
    result.mean().backward()
    # In units of the greatest component, which is far below 1.
    unit = drawn.grad.abs().max()
    comparison.check("gradient", (t["gradient"] / unit).numpy(), (drawn.grad / unit).numpy())
    ratio = t["grey_distance"] / distance(weights, t["grey_a"], t["grey_b"]).detach()
    comparison.check("grey", ratio.numpy(), numpy.ones(len(ratio)))
    comparison.finish()


if __name__ == "__main__":
    main()
