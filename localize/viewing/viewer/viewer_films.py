"""`ViewerFilms`: the films of the viewer by number; the page never names a file."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from data_manifests.films.read_film import FILM_SUFFIXES, read_film
from data_manifests.support.errors import DataError
from data_manifests.support.temporary import temporary_folder
from localize.formats.hub.film_names import film_names
from localize.prediction.tables import Prediction
from localize.viewing.gallery.cards import Card, film_cards
from localize.viewing.grounding_page.build import PageSentence

MAX_DROPPED = 500  # films in one session
MAX_ID = 100


@dataclass(frozen=True)
class FilmReport:
    """The report of a film: its sentences, and the sentence of each box of the film's card."""

    sentences: tuple[PageSentence, ...]
    of_boxes: tuple[str, ...]


@dataclass(frozen=True)
class ViewerFilm:
    """A film: its card, its name in corrections, its file (None where it is not known), and its
    report (None outside a folder of `pneumoloc ground`)."""

    card: Card
    name: str
    file: Path | None
    report: FilmReport | None = None


class ViewerFilms:
    """Films of a folder, then those dropped on the page, which exist until `close`."""

    def __init__(self, films: Iterable[ViewerFilm]) -> None:
        self._films = list(films)
        self._ids = {film.card.id for film in self._films}
        self._lock = threading.Lock()
        self._folder = temporary_folder("pneumoloc-view")
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._films)

    def __getitem__(self, number: int) -> ViewerFilm:
        """Film `number` from 0. Raises IndexError for any other."""
        if not 0 <= number < len(self._films):
            raise IndexError(f"expected a film from 0 to {len(self._films) - 1}, got {number}")
        return self._films[number]

    def keep(self, name: str, content: bytes) -> tuple[str, Path]:
        """Write a dropped film to a private file.

        Returns its image id (from the given name, made harmless and unique) and the file.

        Raises:
            DataError: not a film, or too many of them; it names the file as the user does.
        """
        suffix = PurePosixPath(name).suffix.lower()
        with self._lock:
            if self._dropped >= MAX_DROPPED:
                raise DataError(f"viewer: expected at most {MAX_DROPPED} dropped films; start anew")
            self._dropped += 1
            image_id = self._new_id(name)
            file = Path(self._folder.name) / f"{self._dropped}"
        file = file.with_suffix(suffix if suffix in FILM_SUFFIXES else ".png")
        file.write_bytes(content)
        try:
            read_film(file)
        except DataError as error:
            file.unlink()
            shown = PurePosixPath(name.replace("\\", "/")).name[:MAX_ID] or "film"
            problems = [replace(problem, file=shown) for problem in error.problems]
            raise DataError.from_problems(problems) from error
        return image_id, file

    def add(self, card: Card, file: Path) -> int:
        """Add a dropped film; returns its number."""
        with self._lock:
            self._films.append(ViewerFilm(card, f"{card.id}{file.suffix}", file))
            return len(self._films) - 1

    def labels(self) -> set[str]:
        """The labels of all proposed boxes."""
        return {box.label for film in self._films for box in film.card.boxes}

    def _new_id(self, name: str) -> str:
        """The file name without folders, extension and odd signs, made unique."""
        stem = PurePosixPath(name.replace("\\", "/")).stem
        plain = "".join(sign for sign in stem if sign.isalnum() or sign in "-_. ")
        plain = plain.strip(". ")[:MAX_ID] or "film"
        image_id, count = plain, 1
        while image_id in self._ids:
            count += 1
            image_id = f"{plain}-{count}"
        self._ids.add(image_id)
        return image_id

    def close(self) -> None:
        """Remove the dropped films."""
        self._folder.cleanup()


def predicted_films(prediction: Prediction, films: Mapping[str, Path]) -> list[ViewerFilm]:
    """The films of a prediction, by falling P(pneumonia); `films` is the file of each `image_id`.

    Raises:
        DataError: two films have one name.
    """
    cards = film_cards(prediction, None, limit=len(prediction.images))
    images = prediction.images[prediction.images["status"] == "ok"]
    # The same names as in every export, so that corrections find their films again.
    names = dict(
        zip(images["image_id"], film_names(images["path"], images["image_id"]), strict=True)
    )
    return [ViewerFilm(card, names[card.id], films.get(card.id)) for card in cards]
