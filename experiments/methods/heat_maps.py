"""`film_heats`: CAM or Grad-CAM of every film, heat in [0, 1] in the model's frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from data_manifests.support.arrays import Floats32
from data_manifests.support.errors import ConfigError
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.film_stream import stream_films
from experiments.methods.classifier import FilmClassifier, square_films

Heat = Floats32
HeatKind = Literal["cam", "gradcam"]
READ_THREADS = 2


@dataclass(frozen=True)
class FilmHeat:
    """One film's heat (h, w) in [0, 1], its size in pixels and P(opacity).

    `scale_x` and `scale_y` turn film pixels into heat pixels.
    """

    image_id: str
    heat: Heat
    width: int
    height: int
    scale_x: float
    scale_y: float
    probability: float


def class_activation_maps(maps: Tensor, weights: Tensor) -> Tensor:
    """M(x, y) = sum over k of w_k f_k(x, y), (B, h, w) (Zhou 2016, eq. 2).

    `maps` f (B, D, h, w), `weights` w (D,). The mean of M over the film plus the bias is the logit.
    """
    return torch.einsum("bdhw,d->bhw", maps, weights)


def require_heat(kind: HeatKind) -> None:
    """Called before anything is trained.

    Raises:
        ConfigError: `kind` needs a package that is not installed.
    """
    if kind == "gradcam" and find_spec("pytorch_grad_cam") is None:
        raise ConfigError(
            "Grad-CAM: expected the package grad-cam, which is not installed; "
            "pip install 'pneumoloc[cam]'"
        )


def cam_heats(classifier: FilmClassifier, images: Tensor) -> Heat:
    """CAM of films (B, 3, S, S), bilinear in the films' frame, not yet scaled; (B, S, S)."""
    with torch.inference_mode():
        maps = class_activation_maps(classifier.maps(images).float(), classifier.head.weight[0])
    side = images.shape[-1]
    rows = [cv2.resize(one, (side, side)) for one in maps.cpu().numpy().astype(np.float32)]
    heats: Heat = np.stack(rows)
    return heats


def gradcam_heats(classifier: FilmClassifier, images: Tensor) -> Heat:
    """Grad-CAM at the last maps (Selvaraju 2017) of films (B, 3, S, S); (B, S, S).

    Raises:
        ConfigError: the package `grad-cam` is not installed.
    """
    require_heat("gradcam")
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=classifier, target_layers=[classifier.body]) as cam:
        found = cam(input_tensor=images, targets=[ClassifierOutputTarget(0)] * len(images))
    heats: Heat = np.asarray(found, np.float32)
    return heats


def scaled_heat(heat: Heat) -> Heat:
    """Heat of one film stretched to [0, 1]; a flat map is zero everywhere."""
    low, high = heat.min(), heat.max()
    if high <= low:
        return np.zeros_like(heat)
    scaled: Heat = (heat - low) / (high - low)
    return scaled


def film_heats(
    classifier: FilmClassifier,
    manifest: Manifest,
    kind: HeatKind,
    *,
    image_size: int,
    batch_size: int,
    device: torch.device,
) -> Iterator[FilmHeat]:
    """The heat of each film, in order.

    Raises:
        DataError: a film cannot be read.
        ConfigError: see `gradcam_heats`.
    """
    make: Callable[[FilmClassifier, Tensor], Heat]
    make = cam_heats if kind == "cam" else gradcam_heats
    classifier = classifier.to(device).eval()
    image_ids = manifest.images["image_id"].tolist()
    stream = stream_films(
        manifest.film_paths(),
        range(len(image_ids)),
        image_size=image_size,
        threads=READ_THREADS,
        ahead=2 * batch_size,
    )
    waiting = []
    for film in progress_bar(stream, total=len(image_ids), desc=kind, unit="film"):
        if film.error is not None:
            raise film.error
        waiting.append(film)
        if len(waiting) < batch_size and film.row < len(image_ids) - 1:
            continue
        images = [one.image for one in waiting if one.image is not None]
        squares = square_films(images, image_size).to(device)
        with torch.inference_mode():
            chances = classifier(squares)[:, 0].sigmoid().double().cpu().numpy()
        for one, image, heat, chance in zip(
            waiting, images, make(classifier, squares), chances, strict=True
        ):
            yield FilmHeat(
                image_id=image_ids[one.row],
                heat=scaled_heat(heat[: image.shape[1], : image.shape[2]]),
                width=one.width,
                height=one.height,
                scale_x=one.scale_x,
                scale_y=one.scale_y,
                probability=float(chance),
            )
        waiting = []
