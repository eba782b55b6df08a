"""The peer that bench/serving compares stylex-server with: a plain Python server for Encode and
Reconstruct, as one would write it on a first day with python3-grpcio and python3-torch.

  python_server.py CHECKPOINT_VERSION_FOLDER                     serves on a free port, printed
  python_server.py CHECKPOINT_VERSION_FOLDER --compare HOST:PORT --image FILE
        asks a stylex-server about the image and says whether it answers what these networks do

Exit code 77: a package is missing.
"""

import argparse
import concurrent.futures
import io
import math
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import grpc
    import numpy
    import PIL.Image
    import torch
    import torch.nn.functional as F
    import torchvision  # noqa: F401 (python_networks needs it)
except ImportError as missing:
    print(f"skipped: {missing} (Debian: python3-grpcio python3-torch python3-torchvision "
          "python3-pil python3-numpy)", file=sys.stderr)
    sys.exit(77)

from python_networks import Stylex

ROOT = pathlib.Path(__file__).resolve().parents[1]


def stubs():
    """The modules that protoc makes of the service's definition."""
    with tempfile.TemporaryDirectory() as folder:
        plugin = "/usr/bin/grpc_python_plugin"
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}",
                        f"--grpc_python_out={folder}", f"--plugin=protoc-gen-grpc_python={plugin}",
                        "stylex/v1/explanation.proto", "stylex/v1/attribute_index.proto",
                        "stylex/v1/known_truth.proto", "stylex/v1/model_config.proto"], check=True)
        sys.path.insert(0, folder)
        from stylex.v1 import explanation_pb2, explanation_pb2_grpc
    return explanation_pb2, explanation_pb2_grpc


pb, pb_grpc = stubs()


def decode(data, model):
    image = PIL.Image.open(io.BytesIO(data)).convert("L" if model.channels == 1 else "RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    image = image.resize((model.resolution, model.resolution), PIL.Image.BICUBIC)
    pixels = numpy.asarray(image, dtype=numpy.float32).reshape(
        model.resolution, model.resolution, model.channels)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None] / 127.5 - 1)


def to_png(image):
    pixels = ((image[0] + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    PIL.Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def ssim(a, b):
    """11x11 Gaussian window, sigma 1.5, pixels in [-1, 1]."""
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    taps = torch.outer(taps, taps) / taps.sum() ** 2
    channels = a.shape[1]
    a, b = a.double(), b.double()

    def mean(x):
        return F.conv2d(x, taps.expand(channels, 1, 11, 11), groups=channels)

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)
            / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean()


class Service(pb_grpc.ExplanationServiceServicer):
    def __init__(self, model):
        self.model = model

    def prediction(self, logits):
        best = int(logits.argmax())
        return pb.Prediction(probabilities=torch.softmax(logits, 1)[0].tolist(),
                             logits=logits[0].tolist(), class_id=best,
                             label=self.model.labels[best])

    @torch.no_grad()
    def Encode(self, request, context):
        image = decode(request.image.data, self.model)
        logits, w, conv, rgb = self.model.encode(image)
        return pb.EncodeResponse(
            latent=pb.Latent(values=w[0].tolist()),
            styles=pb.Styles(values=torch.cat(conv, 1)[0].tolist(),
                             to_rgb=torch.cat(rgb, 1)[0].tolist()),
            prediction=self.prediction(logits))

    @torch.no_grad()
    def Reconstruct(self, request, context):
        image = decode(request.image.data, self.model)
        logits, _, conv, rgb = self.model.encode(image)
        drawn = self.model.generator(conv, rgb)
        # What is said of a drawn image is said of its file, of 8 bits a sample.
        drawn_logits = self.model.classifier(((drawn + 1) * 127.5).round() / 127.5 - 1)
        log_p, log_q = torch.log_softmax(logits, 1), torch.log_softmax(drawn_logits, 1)
        error = float((image - drawn).square().mean())
        quality = pb.ReconstructionQuality(
            l1=float((image - drawn).abs().mean()), psnr=10 * math.log10(4 / max(error, 1e-10)),
            ssim=float(ssim(image, drawn)), kl=float((log_p.exp() * (log_p - log_q)).sum()),
            same_class=bool(logits.argmax() == drawn_logits.argmax()))
        return pb.ReconstructResponse(
            image=pb.Image(data=to_png(drawn)), original=self.prediction(logits),
            reconstruction=self.prediction(drawn_logits), quality=quality)


def serve(model, workers):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=workers))
    pb_grpc.add_ExplanationServiceServicer_to_server(Service(model), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


def pixels(data):
    return numpy.asarray(PIL.Image.open(io.BytesIO(data)), dtype=numpy.float32)


def once_loaded(method, request):
    while True:
        try:
            return method(request, wait_for_ready=True, timeout=60)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(0.1)


def compare(model, name, address, image):
    """Largest differences between the server's answers and these networks'."""
    service = Service(model)
    image = pb.Image(data=pathlib.Path(image).read_bytes())
    with grpc.insecure_channel(address) as channel:
        stub = pb_grpc.ExplanationServiceStub(channel)
        encoded = once_loaded(stub.Encode, pb.EncodeRequest(model=name, image=image))
        drawn = stub.Reconstruct(pb.ReconstructRequest(model=name, image=image))
    own_encoded = service.Encode(pb.EncodeRequest(image=image), None)
    own_drawn = service.Reconstruct(pb.ReconstructRequest(image=image), None)
    pairs = {
        "latent": (encoded.latent.values, own_encoded.latent.values, 1e-3),
        "styles": (encoded.styles.values, own_encoded.styles.values, 1e-3),
        "to_rgb": (encoded.styles.to_rgb, own_encoded.styles.to_rgb, 1e-3),
        "probabilities": (encoded.prediction.probabilities,
                          own_encoded.prediction.probabilities, 1e-3),
        "reconstruction": (drawn.reconstruction.probabilities,
                           own_drawn.reconstruction.probabilities, 1e-3),
        "ssim": (drawn.quality.ssim, own_drawn.quality.ssim, 1e-3),
        "kl": (drawn.quality.kl, own_drawn.quality.kl, 1e-3),
        "pixels": (pixels(drawn.image.data), pixels(own_drawn.image.data), 1),
    }
    agree = True
    for name, (theirs, own, tolerance) in pairs.items():
        difference = float(numpy.abs(numpy.subtract(theirs, own)).max())
        print(f"{name}: largest difference {difference:.3g}, allowed {tolerance}")
        agree = agree and difference <= tolerance
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--workers", type=int, default=32, help="threads that answer calls")
    parser.add_argument("--torch-threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--compare", metavar="HOST:PORT")
    parser.add_argument("--image", type=pathlib.Path)
    options = parser.parse_args()
    if options.torch_threads:
        torch.set_num_threads(options.torch_threads)
    model = Stylex(options.checkpoint)
    if options.compare:
        name = options.checkpoint.resolve().parent.name
        sys.exit(0 if compare(model, name, options.compare, options.image) else 1)
    serve(model, options.workers)


main()
