"""The losses once more, in float64, each from its formula; gradients are worked out by hand.

Adversarial: -log sigmoid(D(x)) - log(1 - sigmoid(D(G(w)))) and, for the generator, -log
sigmoid(D(G(w))). R1 and path length are compared on networks tanh(x A) b, whose Jacobian is
A diag(1 - tanh^2) b.
"""

import sys

import reference_folder

numpy, torch, ndimage = reference_folder.require("numpy", "torch", "scipy.ndimage")
TOLERANCE = 1e-5
F = torch.nn.functional


def scalar(value):
    return numpy.float64(value).reshape(())


def adversarial(t):
    real, fake = torch.tensor(t["real_scores"]), torch.tensor(t["fake_scores"])
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    bce = F.binary_cross_entropy_with_logits
    return (bce(real, ones) + bce(fake, zeros)).item(), bce(fake, ones).item()


def kl(t):
    p = torch.distributions.Categorical(logits=torch.tensor(t["real_logits"]))
    q = torch.distributions.Categorical(logits=torch.tensor(t["fake_logits"]))
    return torch.distributions.kl_divergence(p, q).mean().item()


def perceptual(t):
    def normalised(f):
        return f / numpy.sqrt((f * f).mean(axis=1, keepdims=True) + 1e-3)

    depths = [
        numpy.abs(normalised(t[f"real_tap_{d}"]) - normalised(t[f"fake_tap_{d}"])).mean()
        for d in range(2)
    ]
    return sum(depths) / len(depths)


def r1(t):
    a, b = t["critic_a"], t["critic_b"]
    x = t["x"].reshape(len(t["x"]), -1)
    gradient = ((1 - numpy.tanh(x @ a) ** 2) * b) @ a.T
    return (gradient**2).sum(axis=1).mean()


def path_length(t, mean):
    n, latents, size = t["latents"].shape
    height, width = t["noise"].shape[2:]
    y = t["noise"].reshape(n, -1) / numpy.sqrt(height * width)
    drawn = numpy.tanh(t["latents"].reshape(n, -1) @ t["synthesis"])
    jacobian = (((1 - drawn**2) * y) @ t["synthesis"].T).reshape(n, latents, size)
    lengths = numpy.sqrt((jacobian**2).sum(axis=2).mean(axis=1))
    mean = mean + 0.01 * (lengths.mean() - mean)
    return ((lengths - mean) ** 2).mean(), mean


def latent_kl(t):
    normal = torch.distributions.Normal
    means, deviations = torch.tensor(t["means"]), torch.tensor(t["log_deviations"]).exp()
    divergence = torch.distributions.kl_divergence(normal(means, deviations), normal(0.0, 1.0))
    return divergence.sum(1).mean().item()


def feature_matching(t):
    return sum(numpy.abs(t[f"real_tap_{d}"] - t[f"fake_tap_{d}"]).mean() for d in range(2)) / 2


def blur(images):
    taps = numpy.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    for axis in (2, 3):
        images = ndimage.correlate1d(images, taps, axis=axis, mode="mirror")
    return images


def hardest(t):
    errors = numpy.abs(t["photographs"] - t["drawn"]).mean(axis=1)
    errors = numpy.sort(errors.reshape(len(errors), -1), axis=1)
    return errors[:, -(errors.shape[1] // 10) :].mean()


def laplacian(t):
    a, b = t["photographs"], t["drawn"]
    total = 0
    for level in range(3):
        blurred_a, blurred_b = blur(a), blur(b)
        total += 2**level * numpy.abs((a - blurred_a) - (b - blurred_b)).mean()
        a, b = blurred_a[:, :, ::2, ::2], blurred_b[:, :, ::2, ::2]
    return total


def texture_strengths(images):
    """By direction, pooled window by window."""
    rows, columns = images.shape[2] - 1, images.shape[3] - 1
    for (y, x), (v, u) in (((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 0), (1, 1)), ((1, 0), (0, 1))):
        difference = (images[:, :, v : v + rows, u : u + columns] -
                      images[:, :, y : y + rows, x : x + columns])
        windows = numpy.lib.stride_tricks.sliding_window_view(difference**2, (6, 6), axis=(2, 3))
        yield numpy.sqrt(windows[:, :, ::3, ::3].mean(axis=(4, 5)) + 1e-4)


def texture(t):
    a, b = t["photographs"], t["drawn"]
    total = 0
    for _ in range(2):
        pairs = zip(texture_strengths(a), texture_strengths(b))
        total += numpy.mean([numpy.abs(of_a - of_b).mean() for of_a, of_b in pairs])
        a, b = blur(a)[:, :, ::2, ::2], blur(b)[:, :, ::2, ::2]
    return total


def relativistic(t):
    return numpy.logaddexp(0, t["fake_scores"] - t["real_scores"]).mean()


def main():
    t = reference_folder.load(sys.argv[1])
    comparison = reference_folder.Comparison(TOLERANCE)
    discriminator, generator = adversarial(t)
    first, first_mean = path_length(t, 0.0)
    second, second_mean = path_length(t, first_mean)
    expected = {
        "discriminator": discriminator,
        "generator": generator,
        "l1": numpy.abs(t["x"] - t["y"]).mean(),
        "l2": numpy.square(t["x"] - t["y"]).mean(),
        "differences": sum(
            numpy.abs(numpy.diff(t["x"] - t["y"], axis=axis)).mean() for axis in (2, 3)
        ),
        "relativistic": relativistic(t),
        "hardest": hardest(t),
        "laplacian": laplacian(t),
        "texture": texture(t),
        "features": feature_matching(t),
        "kl": kl(t),
        "perceptual": perceptual(t),
        "r1": r1(t),
        "latent_kl": latent_kl(t),
        "move_sparsity": numpy.sqrt((t["changes"] ** 2).mean(axis=0)).mean(),
        "path_first": first,
        "path_first_mean": first_mean,
        "path_second": second,
        "path_second_mean": second_mean,
    }
    for name, value in expected.items():
        comparison.check(name, t[name], scalar(value))
    contrast = numpy.abs(t["photographs"] - blur(t["photographs"])).mean(axis=1, keepdims=True)
    comparison.check("contrast", t["contrast"], contrast)
    comparison.finish()


if __name__ == "__main__":
    main()
