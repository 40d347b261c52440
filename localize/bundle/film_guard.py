"""`FilmGuard`: does a picture look like the frontal chest films of the training?

A logistic regression on principal components of a 32 x 32 thumbnail (frontal chest films are much
alike: Turk & Pentland 1991 for faces) and on the detail of the picture at four scales. It is not
trained on disease. It only warns: the film is predicted in any case.

A second regression on the same features tells films that look like the children's films of the
training from others, since P(pneumonia) is calibrated for the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from data_manifests.support.arrays import Floats, Floats32
from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import CheckpointError, raise_if_out_of_memory

THUMB = 32
DETAIL_SIDE = 128
DETAIL_SIGMAS = (1.0, 2.0, 4.0, 8.0)  # px of the DETAIL_SIDE picture
FLAT = 1e-3  # standard deviation below which a picture has no contrast to speak of
WARNING = "does not look like a frontal chest film"
NAMES = ("mean", "basis", "spread", "weights", "intercept", "threshold")
CHILD_NAMES = ("child_weights", "child_intercept")  # guards of earlier bundles have none
CHILD_LOGIT = float(np.log(0.8 / 0.2))  # a film is a child's from P = .8 on


@dataclass(frozen=True)
class FilmLook:
    """What the guard says of a picture: the warning (empty: a film like those of the training), and
    whether it looks like a child's film."""

    warning: str
    is_child: bool


@dataclass(frozen=True)
class FilmGuard:
    """`mean` (T,) thumbnail, `basis` (K, T) its components with `spread` (K,); `weights` (F,) and
    `intercept` of the logistic regression over F = 2 K + 6 features; pictures whose logit is below
    `threshold` are flagged. T = 1024. `child_weights` (F,) and `child_intercept` belong to the
    second regression.
    """

    mean: Floats
    basis: Floats
    spread: Floats
    weights: Floats
    intercept: float
    threshold: float
    child_weights: Floats | None = None
    child_intercept: float = 0.0

    def look(self, pixels: Floats32) -> FilmLook:
        """Warning and kind of a picture; `pixels` (H, W) in [0, 1]."""
        features = guard_features(pixels, self.mean, self.basis, self.spread)
        is_flagged = float(features @ self.weights) + self.intercept < self.threshold
        is_child = (
            self.child_weights is not None
            and float(features @ self.child_weights) + self.child_intercept >= CHILD_LOGIT
        )
        return FilmLook(WARNING if is_flagged else "", is_child)

    def logit(self, pixels: Floats32) -> float:
        """The log odds of a frontal chest film; `pixels` (H, W) in [0, 1]."""
        features = guard_features(pixels, self.mean, self.basis, self.spread)
        return float(features @ self.weights) + self.intercept

    def warning(self, pixels: Floats32) -> str:
        """The warning for a picture; empty for a film like those of the training."""
        return self.look(pixels).warning


def thumbnail(pixels: Floats32) -> Floats:
    """(T,): the picture at 32 x 32, mean 0, standard deviation 1."""
    small = cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float64)
    flat: Floats = ((small - small.mean()) / max(float(small.std()), FLAT)).ravel()
    return flat


def guard_features(pixels: Floats32, mean: Floats, basis: Floats, spread: Floats) -> Floats:
    """(F,): components, their squares (films lie in the middle, others far out in any direction),
    what the components leave over, contrast, detail at four scales."""
    centred = thumbnail(pixels) - mean
    components = centred @ basis.T
    left_over = np.sqrt(np.mean((centred - components @ basis) ** 2))
    scaled = components / spread
    features: Floats = np.concatenate(
        [scaled, scaled**2, [np.log(left_over + 0.01)], _detail(pixels)]
    )
    return features


def write_guard(guard: FilmGuard, path: Path) -> None:
    """Write the arrays as float32 safetensors."""
    names = NAMES if guard.child_weights is None else (*NAMES, *CHILD_NAMES)
    arrays = {name: np.atleast_1d(getattr(guard, name)).astype(np.float32) for name in names}
    with atomic_path(path) as aside:
        save_file(arrays, aside)


def read_guard(path: Path) -> FilmGuard:
    """Read what `write_guard` wrote.

    Raises:
        CheckpointError: unreadable, arrays missing, of other shapes, or not finite.
    """
    try:
        arrays = {name: array.astype(np.float64) for name, array in load_file(path).items()}
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise_if_out_of_memory(error)
        raise CheckpointError(f"{path}: expected the film guard's arrays, got {error}") from error
    if set(arrays) not in (set(NAMES), {*NAMES, *CHILD_NAMES}):
        raise CheckpointError(
            f"{path}: expected {', '.join(NAMES)}, and {' and '.join(CHILD_NAMES)} or neither, "
            f"got {', '.join(arrays)}"
        )
    count = len(arrays["spread"])
    features = 2 * count + 2 + len(DETAIL_SIGMAS)
    shapes = {
        "mean": (THUMB * THUMB,),
        "basis": (count, THUMB * THUMB),
        "spread": (count,),
        "weights": (features,),
        "intercept": (1,),
        "threshold": (1,),
    }
    if "child_weights" in arrays:
        shapes |= {"child_weights": (features,), "child_intercept": (1,)}
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise CheckpointError(
                f"{path}, array {name}: expected finite numbers of shape {shape}, "
                f"got {arrays[name].shape}"
            )
    return FilmGuard(
        arrays["mean"],
        arrays["basis"],
        arrays["spread"],
        arrays["weights"],
        float(arrays["intercept"][0]),
        float(arrays["threshold"][0]),
        arrays.get("child_weights"),
        float(arrays.get("child_intercept", [0.0])[0]),
    )


def _detail(pixels: Floats32) -> Floats:
    image = cv2.resize(pixels, (DETAIL_SIDE, DETAIL_SIDE), interpolation=cv2.INTER_AREA)
    contrast = max(float(image.std()), FLAT)
    image = (image - image.mean()) / contrast
    found = [np.log(contrast)]
    for sigma in DETAIL_SIGMAS:
        blurred = cv2.GaussianBlur(image, (0, 0), sigma)
        found.append(np.log(float((image - blurred).std()) + FLAT))
        image = blurred
    return np.array(found)
