"""`FilmModel`: a model bundle behind the viewer, for one request at a time."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import torch

from attributes.lexicon.load import load_lexicon
from data_manifests.films.read_film import read_film
from detector.lungs.packaged import load_segmenter
from localize.bundle.bundle import load_bundle
from localize.inference.film_regions import FilmRegions
from localize.inference.model import Model
from localize.viewing.gallery.cards import Card, film_card
from localize.viewing.viewer.keyword_query import KeywordQuery, read_query

MAX_REGIONS = 100


class FilmModel:
    """A loaded bundle and its lexicon."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._model = Model(load_bundle(folder), device=device)
        self._segmenter = load_segmenter(device=device)
        self._lexicon = load_lexicon(folder / "lexicon.yaml")
        self._lock = threading.Lock()
        self.keywords = self._model.keywords

    def card(self, image_id: str, film: Path) -> Card:
        """Boxes, probabilities and severity of a film.

        Raises:
            DataError: the film cannot be read.
        """
        with self._lock:
            found = self._model.predict(film, image_id=image_id)
        return film_card(found, self.keywords)

    def regions(self, film: Path) -> FilmRegions:
        """The ranked regions of a film, with the sides and zones of its own lungs.

        Raises:
            DataError: the film cannot be read.
        """
        pixels = read_film(film).pixels
        with self._lock:
            found = next(self._model.regions([film], limit=MAX_REGIONS))
            return replace(found, borders=self._segmenter.fields(pixels).borders)

    def query(self, text: str) -> KeywordQuery:
        """The keywords of a phrase, by the bundle's own lexicon."""
        return read_query(text, self._lexicon)
