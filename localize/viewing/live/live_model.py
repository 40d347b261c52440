"""`LiveModel`: a bundle that answers an annotation tool film by film."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from PIL import Image

from data_manifests.tables.columns import BOX_LABEL
from localize.bundle.bundle import load_bundle
from localize.formats.hub.annotations import FilmAnnotation
from localize.formats.hub.from_tables import annotations_from_prediction
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.prediction.film_tables import prediction_of_films


class LiveModel:
    """A loaded bundle. `labels` and `keywords` are what it can say, `version` names the bundle."""

    def __init__(self, folder: Path, device: torch.device, *, max_boxes: int) -> None:
        self._model = Model(load_bundle(folder), PredictOptions(max_boxes=max_boxes), device)
        self.labels = (BOX_LABEL,)
        self.keywords = self._model.keywords
        self.version = self._model.bundle_id

    def annotate(self, film: Path) -> FilmAnnotation:
        """The boxes of a film in film pixels, best first.

        Raises:
            DataError: the film cannot be read.
        """
        prediction = prediction_of_films([self._model.predict(film)], self.keywords, {})
        return next(iter(annotations_from_prediction(prediction)))

    def annotate_image(self, image: Image.Image) -> FilmAnnotation:
        """As `annotate`, for an image that a tool has already opened.

        The image goes through a lossless file, so that the film is read and checked in one way.
        """
        with tempfile.TemporaryDirectory(prefix="pneumoloc-live-") as folder:
            path = Path(folder) / "film.png"
            image.save(path, "PNG")
            return self.annotate(path)
