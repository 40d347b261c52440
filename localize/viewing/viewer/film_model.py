"""`FilmModel`: what a model bundle says about one film, region by region."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.load import load_lexicon
from localize.bundle.bundle import load_bundle
from localize.inference.model import Model
from localize.network.word_similarities import word_similarities
from localize.viewing.gallery.cards import Card, film_card
from localize.viewing.viewer.film_answers import AnsweringRegion, FilmAnswers
from localize.viewing.viewer.keyword_query import KeywordQuery, read_query

MAX_REGIONS = 100
DECIMALS = 5


class FilmModel:
    """A loaded bundle, for one question at a time."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._model = Model(load_bundle(folder), device=device)
        self._lexicon: Lexicon = load_lexicon(folder / "lexicon.yaml")
        self._one_at_a_time = threading.Lock()
        self.keywords = self._model.keywords

    def card(self, image_id: str, film: Path) -> Card:
        """Boxes, probabilities and severity of a film.

        Raises:
            DataError: the film cannot be read.
        """
        with self._one_at_a_time:
            found = self._model.predict(film, image_id=image_id)
        return film_card(found, self.keywords)

    def answers(self, film: Path) -> FilmAnswers:
        """How the regions of a film answer to each keyword.

        Raises:
            DataError: the film cannot be read.
        """
        with self._one_at_a_time:
            found = next(self._model.regions([film], limit=MAX_REGIONS))
        words = self._model.bundle.words
        answers = word_similarities(found.fused, words.vectors.astype("float64")).round(DECIMALS)
        return FilmAnswers(
            keywords=words.keywords,
            regions=tuple(
                AnsweringRegion((x1, y1, x2, y2), round(float(alpha), DECIMALS), tuple(row))
                for (x1, y1, x2, y2), alpha, row in zip(
                    found.xyxy.round(2).tolist(), found.alpha, answers.tolist(), strict=True
                )
            ),
        )

    def phrase(self, text: str) -> KeywordQuery:
        """The keywords of a phrase, by the bundle's own lexicon."""
        return read_query(text, self._lexicon)
