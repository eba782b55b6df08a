"""The server's answers as values; pictures are PIL images, numbers in rows are numpy arrays."""
from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy
import numpy.typing
import PIL.Image

from . import pictures

Floats = numpy.typing.NDArray[numpy.float32]

_SHOWN = 128  # pixels that a picture has at least in a notebook


def percent(share: float) -> str:
    """Never 0 % or 100 % of what is not."""
    if 0 < share < 0.001:
        return 'under 0.1 %'
    if 0.999 < share < 1:
        return 'over 99.9 %'
    fine = 0 < share < 0.01 or 0.99 < share < 1
    return f'{100 * share:.{1 if fine else 0}f} %'


def _figure(picture: PIL.Image.Image, title: str, text: str = '') -> str:
    factor = max(1, -(-_SHOWN // picture.width))
    return (f'<figure style="display:inline-block;margin:0 12px 8px 0;vertical-align:top">'
            f'<img alt="{html.escape(title)}" src="{pictures.data_uri(picture)}" width="{factor * picture.width}" '
            f'style="image-rendering:pixelated"/><figcaption>{html.escape(title)}<br/><b>{html.escape(text)}</b>'
            f'</figcaption></figure>')


@dataclass(frozen=True)
class Prediction:
    """What the classifier says of an image."""
    label: str
    class_id: int
    probabilities: Floats  # [classes], sums to 1
    logits: Floats  # [classes]

    @property
    def probability(self) -> float:
        """Of `label`."""
        return float(self.probabilities[self.class_id])

    def __str__(self) -> str:
        return f'{self.label} {percent(self.probability)}'


@dataclass(frozen=True)
class Attribute:
    """A style coordinate and the way it moves to raise a class."""
    index: int
    to_max: bool
    name: str = ''  # a person's word
    description: str = ''  # what was measured that it changes
    mean_effect: float = 0.0  # on the class's logit
    flip_rate: float = 0.0  # share of images that it flips by itself
    model: str = ''  # NAME/VERSION that the index belongs to; empty: any

    @property
    def key(self) -> str:
        """As commands write it: "98:max"."""
        return f'{self.index}:{"max" if self.to_max else "min"}'

    @property
    def words(self) -> str:
        """A person's name for it, else what was measured, else its key."""
        return self.name or self.description or f'attribute {self.key}'


@dataclass(frozen=True)
class Model:
    """A model version in the server."""
    name: str
    version: int
    state: str  # "loading", "ready" or "failed"
    error: str  # why it failed
    resolution: int
    labels: tuple[str, ...]
    # Those of the stored index, best first, by the class that they raise; empty from Client.models().
    attributes: dict[str, tuple[Attribute, ...]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)  # measured at training; likewise
    num_styles: int = 0  # style coordinates; likewise

    @property
    def full_name(self) -> str:
        """NAME/VERSION."""
        return f'{self.name}/{self.version}'


@dataclass(frozen=True)
class Quality:
    """How well a reconstruction stands for its image."""
    l1: float
    psnr: float
    ssim: float
    kl: float
    same_class: bool  # if not, explanations of it do not explain the image
    percentile: Optional[float]  # of held-out images that are reconstructed better; None: not known
    unlike_training: bool


@dataclass(frozen=True)
class Encoding:
    """Latent and styles of an image, for Client.reconstruct and Client.traverse."""
    latent: Floats  # w with the condition, [latent_size]
    styles: Floats  # one a style coordinate
    to_rgb: Floats  # styles that are no coordinates
    prediction: Prediction
    model: str


@dataclass(frozen=True)
class Reconstruction:
    """What the generator draws."""
    picture: PIL.Image.Image
    prediction: Prediction  # of the picture
    original: Optional[Prediction]  # of the image; None if styles were given
    quality: Optional[Quality]  # likewise
    model: str

    def _repr_html_(self) -> str:
        return _figure(self.picture, 'reconstruction', str(self.prediction))


@dataclass(frozen=True)
class Move:
    """An attribute that a counterfactual moves."""
    attribute: Attribute
    shift: float  # 1: to its extreme
    probability: float  # of the target with this and all earlier moves


@dataclass(frozen=True)
class Explanation:
    """The smallest change found that makes the classifier decide for the target."""
    model: str
    photograph: bytes  # the file that was sent
    target: str
    flipped: bool
    convincing: bool
    reason: str  # why it is not convincing; empty when it is
    original: Prediction  # of the photograph
    reconstructed: Prediction  # of `reconstruction`
    changed: Prediction  # of `counterfactual`
    reconstruction: PIL.Image.Image  # before any change: compare with this, not with the photograph
    counterfactual: PIL.Image.Image
    difference: Optional[PIL.Image.Image]
    on_photograph: Optional[PIL.Image.Image]  # the change carried over to the photograph, if asked for
    holds_on_photograph: bool
    moves: tuple[Move, ...]
    steps: tuple[PIL.Image.Image, ...]  # after each move, if asked for
    quality: Quality
    crop: int = 0  # side of the central square of the photograph that the model sees; 0: all of the middle

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        if not self.flipped:
            return f'{self.original.label} does not become {self.target}: {self.reason}'
        words = ', '.join(move.attribute.words for move in self.moves)
        after = float(self.changed.probabilities[self.changed.class_id])
        before = float(self.reconstructed.probabilities[self.changed.class_id])
        doubt = '' if self.convincing else ' (it just flips)'
        return (f'{self.reconstructed.label} becomes {self.target} when: {words}; {self.target} {percent(before)} '
                f'→ {percent(after)}{doubt}')

    def __str__(self) -> str:
        return self.sentence

    def _pictures(self) -> list[tuple[PIL.Image.Image, str, str]]:
        shown = [(self.reconstruction, 'before: as the generator draws it', str(self.reconstructed)),
                 (self.counterfactual, 'after', str(self.changed))]
        if self.difference is not None:
            shown.append((self.difference, 'difference', ''))
        if self.on_photograph is not None and self.holds_on_photograph:
            shown.append((self.on_photograph, 'the change on the photograph', ''))
        return shown

    def _repr_html_(self) -> str:
        upright = pictures.plain(pictures.picture_of(self.photograph))
        photograph = _figure(_square(upright, self.reconstruction.width, self.crop), 'photograph', str(self.original))
        rows = ''.join(_figure(*shown) for shown in self._pictures())
        moves = ''.join(f'<li>{html.escape(move.attribute.words)} ({move.attribute.key}, {move.shift:.2f} of its range): '
                        f'{html.escape(self.target)} {percent(move.probability)}</li>' for move in self.moves)
        warnings = [text for text, holds in [
            ('The photograph is unlike anything the model was trained on.', self.quality.unlike_training),
            ('The reconstruction is decided otherwise than the photograph.', not self.quality.same_class)] if holds]
        notes = ''.join(f'<p><b>{text}</b></p>' for text in warnings)
        return f'<div><p><b>{html.escape(self.sentence)}</b></p>{notes}{photograph}{rows}<ol>{moves}</ol></div>'

    def _repr_png_(self) -> bytes:
        """Before and after, side by side, for where HTML is not shown."""
        side = self.reconstruction.width
        pair = PIL.Image.new('RGB', (2 * side + 2, side), 'white')
        pair.paste(self.reconstruction, (0, 0))
        pair.paste(self.counterfactual, (side + 2, 0))
        factor = max(1, -(-_SHOWN // side))
        return pictures.png_of(pair.resize((factor * pair.width, factor * pair.height), PIL.Image.Resampling.NEAREST))


def _square(picture: PIL.Image.Image, side: int, crop: int) -> PIL.Image.Image:
    """The central square, as the server crops it, of at least `side` pixels."""
    whole = crop if 0 < crop <= min(picture.size) else min(picture.size)
    left, top = (picture.width - whole) // 2, (picture.height - whole) // 2
    cut = picture.crop((left, top, left + whole, top + whole))
    return cut if whole <= 2 * _SHOWN else cut.resize((max(side, _SHOWN), max(side, _SHOWN)))


@dataclass(frozen=True)
class Frame:
    """One picture of a traversal."""
    shift: float
    picture: PIL.Image.Image
    prediction: Prediction


class Traversal(Sequence[Frame]):
    """An attribute moved from one end to the other: a sequence of frames."""

    def __init__(self, attribute: Attribute, frames: Sequence[Frame]) -> None:
        self.attribute = attribute
        self.frames = tuple(frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: Any) -> Any:
        return self.frames[index]

    def __repr__(self) -> str:
        return f'Traversal({self.attribute.words!r}, {len(self)} frames)'

    def save_gif(self, path: str | os.PathLike[str], milliseconds: int = 120) -> None:
        """There and back, for ever."""
        there = [frame.picture.convert('RGB') for frame in self.frames]
        there[0].save(path, format='GIF', save_all=True, append_images=there[1:] + there[-2:0:-1],
                      duration=milliseconds, loop=0)

    def _repr_html_(self) -> str:
        return f'<p><b>{html.escape(self.attribute.words)}</b></p>' + ''.join(
            _figure(frame.picture, f'shift {frame.shift:.2f}', str(frame.prediction)) for frame in self.frames)
