"""`make_golden`: the golden prediction of a new bundle, on a phantom film."""

from __future__ import annotations

from pathlib import Path

import cv2

from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.support.atomic import write_bytes
from localize.bundle.bundle import Bundle
from localize.inference.golden import FILM, Golden, predict_golden

FILM_OPTIONS = PhantomOptions(size=256, seed=0, prevalence=1.0)  # case 0: a phantom, no patient


def make_golden(bundle: Bundle, folder: Path) -> Golden:
    """Predict the golden film on the CPU; its file is written into `folder`."""
    film = cv2.imencode(".png", make_case(FILM_OPTIONS, 0).pixels)[1].tobytes()
    write_bytes(folder / FILM, film)
    return predict_golden(bundle, folder / FILM)
