"""The client: one method for each thing that a server can be asked."""
from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Optional, Union

import grpc
import numpy

from . import answers, errors, pictures
from .v1 import attribute_index_pb2, explanation_pb2, explanation_pb2_grpc

# "98:max", a name or a description from the model's index, or an attribute of an answer.
AttributeLike = Union[str, answers.Attribute]

_MAX_ANSWER_BYTES = 64 << 20
_SERVICE_CONFIG = json.dumps({
    'loadBalancingConfig': [{'round_robin': {}}],
    'methodConfig': [{
        'name': [{'service': 'stylex.v1.ExplanationService'}],
        'retryPolicy': {'maxAttempts': 4, 'initialBackoff': '0.1s', 'maxBackoff': '2s', 'backoffMultiplier': 2,
                        'retryableStatusCodes': ['UNAVAILABLE']}}],
})
_STATES = {explanation_pb2.MODEL_STATE_LOADING: 'loading', explanation_pb2.MODEL_STATE_READY: 'ready',
           explanation_pb2.MODEL_STATE_FAILED: 'failed'}
_PATH = Union[str, 'os.PathLike[str]']


def _read(path: _PATH, option: str) -> bytes:
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f'{option}: {os.fspath(path)} is no file')
    return pathlib.Path(path).read_bytes()


def _credentials(ca: Optional[_PATH], certificate: Optional[_PATH], key: Optional[_PATH]) -> Any:
    if (certificate is None) != (key is None):
        raise ValueError('tls_certificate and tls_key: one is given without the other; both or none are wanted')
    return grpc.ssl_channel_credentials(
        root_certificates=None if ca is None else _read(ca, 'tls_ca'),
        private_key=None if key is None else _read(key, 'tls_key'),
        certificate_chain=None if certificate is None else _read(certificate, 'tls_certificate'))


def _token_in(path: _PATH) -> str:
    """The first line that is no comment, as in the server's file."""
    for line in _read(path, 'token_file').decode().splitlines():
        if line.strip() and not line.strip().startswith('#'):
            return line.strip()
    raise ValueError(f'token_file: {os.fspath(path)} holds no token; one a line is wanted')


class Client:
    """A connection to a server; a context manager. Safe to use from several threads.

    `model` in its methods is NAME or NAME/VERSION; it may be left out while the server has one model.
    """

    def __init__(self, address: str = 'localhost:50051', *, token: Optional[str] = None,
                 token_file: Optional[_PATH] = None, tls: bool = False, tls_ca: Optional[_PATH] = None,
                 tls_certificate: Optional[_PATH] = None, tls_key: Optional[_PATH] = None,
                 timeout: float = 60.0, stream_timeout: float = 600.0) -> None:
        """`tls_ca` (else the system's authorities) or `tls` turn TLS on, certificate and key mutual TLS.
        Timeouts are in seconds; the second is for searches and traversals."""
        if token is not None and token_file is not None:
            raise ValueError('token and token_file: both are given; one is wanted')
        if timeout <= 0 or stream_timeout <= 0:
            raise ValueError(f'timeout: {timeout} and stream_timeout: {stream_timeout}; more than 0 s are wanted')
        self.address = address
        self.timeout = timeout
        self.stream_timeout = stream_timeout
        given = _token_in(token_file) if token_file is not None else token
        self._metadata = [] if given is None else [('authorization', 'Bearer ' + given)]
        options = [('grpc.max_receive_message_length', _MAX_ANSWER_BYTES), ('grpc.service_config', _SERVICE_CONFIG)]
        if tls or tls_ca is not None or tls_certificate is not None or tls_key is not None:
            self._channel = grpc.secure_channel(address, _credentials(tls_ca, tls_certificate, tls_key), options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._stub = explanation_pb2_grpc.ExplanationServiceStub(self._channel)
        self._crops: dict[str, int] = {}

    def close(self) -> None:
        """Ends the connection and all calls in it."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    # ---- What there is.

    def models(self) -> list[answers.Model]:
        """All loaded or failed models, by name, newest version first; without attributes and metrics."""
        found: list[answers.Model] = []
        token = ''
        while True:
            page = self._call('ListModels', explanation_pb2.ListModelsRequest(page_token=token))
            found += [self._model(summary) for summary in page.models]
            token = page.next_page_token
            if not token:
                return found

    def model(self, model: str = '') -> answers.Model:
        """One model, with its stored attributes and what was measured of it."""
        whole = self._call('GetModel', explanation_pb2.GetModelRequest(model=model)).model
        labels = whole.summary.labels
        return self._model(whole.summary, attributes={
            labels[entry.class_id]: tuple(_attribute(one) for one in entry.attributes)
            for entry in whole.attributes.classes}, metrics=dict(whole.metrics), num_styles=whole.num_styles)

    def _crop_of(self, model: str) -> int:
        """Of a NAME/VERSION, which never changes."""
        if model not in self._crops:
            whole = self._call('GetModel', explanation_pb2.GetModelRequest(model=model)).model
            self._crops[model] = whole.preprocessing.crop_pixels
        return self._crops[model]

    # ---- What is asked of an image.

    def classify(self, image: pictures.ImageLike, *, model: str = '') -> answers.Prediction:
        """What the explained classifier says."""
        answer = self._call('Classify', explanation_pb2.ClassifyRequest(model=model, image=_image(image)))
        return _prediction(answer.prediction)

    def encode(self, image: pictures.ImageLike, *, model: str = '') -> answers.Encoding:
        """Latent and styles."""
        answer = self._call('Encode', explanation_pb2.EncodeRequest(model=model, image=_image(image)))
        return answers.Encoding(_floats(answer.latent.values), _floats(answer.styles.values),
                                _floats(answer.styles.to_rgb), _prediction(answer.prediction), answer.styles.model)

    def reconstruct(self, source: Union[pictures.ImageLike, answers.Encoding], *, model: str = '',
                    edits: Iterable[tuple[AttributeLike, float]] = (), local: bool = False) -> answers.Reconstruction:
        """What the generator draws of an image or its encoding, with attributes moved by shifts (1: to the extreme);
        `local`: only where that changes the picture most."""
        request = explanation_pb2.ReconstructRequest(model=model or _model_of(source), local=local)
        self._set_source(request, source)
        for attribute, shift in edits:
            named = self._find(attribute, request.model)
            request.edits.add(index=named.index, shift=shift, direction=_direction(named))
        answer = self._call('Reconstruct', request)
        return answers.Reconstruction(
            pictures.picture_of(answer.image.data), _prediction(answer.reconstruction),
            _prediction(answer.original) if answer.HasField('original') else None,
            _quality(answer.quality) if answer.HasField('quality') else None, answer.model)

    def explain(self, image: pictures.ImageLike, target: Union[str, int, None] = None, *, model: str = '',
                attributes: Iterable[AttributeLike] = (), max_attributes: int = 10, probability: float = 0.9,
                local: bool = True, difference: bool = True, on_photograph: bool = True,
                steps: bool = False) -> answers.Explanation:
        """The smallest change that makes the classifier decide for `target` (a label or its number; default: the
        runner-up) with this probability (0: being the decision suffices). `attributes`: only these may be moved.
        `local`: the picture changes only where the change is greatest."""
        if not 0 <= probability <= 1:
            raise ValueError(f'probability: {probability}; 0 to 1 is wanted')
        data = pictures.bytes_of(image)
        request = explanation_pb2.CounterfactualRequest(
            model=model, image=explanation_pb2.Image(data=data), max_attributes=max_attributes,
            target_probability=probability, local=local, include_difference=difference,
            include_on_photograph=on_photograph, include_steps=steps)
        if target is not None:
            request.target_class.CopyFrom(_class(target))
        for attribute in attributes:
            request.attributes.append(_message(self._find(attribute, model)))
        answer = self._call('Counterfactual', request)
        return dataclasses.replace(_explanation(answer, data), crop=self._crop_of(answer.model))

    def traverse(self, source: Union[pictures.ImageLike, answers.Encoding], attribute: AttributeLike, *, model: str = '',
                 frames: int = 9, shift_from: float = 0.0, shift_to: float = 1.0, local: bool = False) -> answers.Traversal:
        """An attribute moved from `shift_from` to `shift_to` (0: as it is, 1: its extreme)."""
        if frames < 2:
            raise ValueError(f'frames: {frames}; at least 2 are wanted')
        request = explanation_pb2.TraverseRequest(model=model or _model_of(source), steps=frames, shift_from=shift_from,
                                                  shift_to=shift_to, local=local)
        self._set_source(request, source)
        named = self._find(attribute, request.model)
        request.attribute.CopyFrom(_message(named))
        return answers.Traversal(named, [
            answers.Frame(frame.shift, pictures.picture_of(frame.image.data), _prediction(frame.prediction))
            for frame in self._stream('Traverse', request)])

    def attributes(self, target: Union[str, int], *, model: str = '', images: Sequence[pictures.ImageLike] = (),
                   max_attributes: int = 10) -> list[answers.Attribute]:
        """What raises a class, best first: from the model's stored index, or searched over `images`."""
        request = explanation_pb2.FindAttributesRequest(model=model, target_class=_class(target),
                                                        max_attributes=max_attributes)
        for image in images:
            request.images.append(_image(image))
        found: list[answers.Attribute] = []
        for event in self._stream('FindAttributes', request):
            if event.WhichOneof('event') == 'result':
                found = [_attribute(one) for one in event.result.attributes]
        return found

    # ---- How it is asked.

    def _call(self, method: str, request: Any) -> Any:
        with errors.told(self.address):
            return getattr(self._stub, method)(request, timeout=self.timeout, metadata=self._metadata)

    def _stream(self, method: str, request: Any) -> list[Any]:
        with errors.told(self.address):
            return list(getattr(self._stub, method)(request, timeout=self.stream_timeout, metadata=self._metadata))

    def _model(self, summary: Any, **more: Any) -> answers.Model:
        return answers.Model(summary.name, summary.version, _STATES.get(summary.state, ''), summary.error,
                             summary.resolution, tuple(summary.labels), **more)

    def _find(self, attribute: AttributeLike, model: str) -> answers.Attribute:
        """An attribute by "INDEX:min", "INDEX:max", or what people call it."""
        if isinstance(attribute, answers.Attribute):
            return attribute
        index, colon, way = attribute.partition(':')
        if colon and index.isdigit() and way in ('min', 'max'):
            return answers.Attribute(int(index), way == 'max')
        known = [one for entry in self.model(model).attributes.values() for one in entry]
        for one in known:
            if attribute and attribute in (one.name, one.description):
                return one
        words = sorted({one.words for one in known if one.name or one.description})
        raise ValueError(f'attribute: "{attribute}" is not in the model\'s index; INDEX:min, INDEX:max or one of its words is '
                         f'wanted: {", ".join(words) or "it has none"}')

    @staticmethod
    def _set_source(request: Any, source: Union[pictures.ImageLike, answers.Encoding]) -> None:
        if isinstance(source, answers.Encoding):
            request.styles.CopyFrom(explanation_pb2.Styles(model=source.model, values=source.styles.tolist(),
                                                           to_rgb=source.to_rgb.tolist()))
        else:
            request.image.CopyFrom(_image(source))


def _image(image: pictures.ImageLike) -> Any:
    return explanation_pb2.Image(data=pictures.bytes_of(image))


def _model_of(source: Any) -> str:
    return source.model if isinstance(source, answers.Encoding) else ''


def _class(target: Union[str, int]) -> Any:
    if isinstance(target, bool) or not isinstance(target, (str, int)):
        raise TypeError(f'target: {target!r} is a {type(target).__name__}; a label or its number is wanted')
    if isinstance(target, int):
        return explanation_pb2.ClassSelector(class_id=target)
    return explanation_pb2.ClassSelector(label=target)


def _direction(attribute: answers.Attribute) -> int:
    name = 'DIRECTION_TO_MAX' if attribute.to_max else 'DIRECTION_TO_MIN'
    return int(attribute_index_pb2.Direction.Value(name))


def _message(attribute: answers.Attribute) -> Any:
    return attribute_index_pb2.Attribute(index=attribute.index, direction=_direction(attribute), model=attribute.model)


def _attribute(message: Any) -> answers.Attribute:
    return answers.Attribute(message.index, message.direction != attribute_index_pb2.DIRECTION_TO_MIN, message.name,
                             message.description, message.mean_effect, message.flip_rate, message.model)


def _floats(values: Any) -> answers.Floats:
    return numpy.array(values, dtype=numpy.float32)


def _prediction(message: Any) -> answers.Prediction:
    return answers.Prediction(message.label, message.class_id, _floats(message.probabilities), _floats(message.logits))


def _quality(message: Any) -> answers.Quality:
    percentile = message.percentile if message.HasField('percentile') else None
    return answers.Quality(message.l1, message.psnr, message.ssim, message.kl, message.same_class, percentile,
                           message.unlike_training)


def _optional(image: Any) -> Any:
    return pictures.picture_of(image.data) if image.data else None


def _explanation(answer: Any, data: bytes) -> answers.Explanation:
    reconstruction = pictures.picture_of(answer.reconstruction.data)
    return answers.Explanation(
        model=answer.model, photograph=data, target=answer.target_label, flipped=answer.flipped,
        convincing=answer.convincing, reason=answer.reason, original=_prediction(answer.original_prediction),
        reconstructed=_prediction(answer.reconstruction_prediction),
        changed=_prediction(answer.counterfactual_prediction),
        reconstruction=reconstruction, counterfactual=_optional(answer.counterfactual) or reconstruction,
        difference=_optional(answer.difference),
        on_photograph=_optional(answer.on_photograph), holds_on_photograph=answer.holds_on_photograph,
        moves=tuple(answers.Move(_attribute(one.attribute), one.shift, one.target_probability) for one in answer.applied),
        steps=tuple(pictures.picture_of(one.data) for one in answer.steps), quality=_quality(answer.quality))
