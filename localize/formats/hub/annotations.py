"""`Annotations`: films with boxes, the hub from which every annotation format is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.support.arrays import Floats
from localize.prediction.film_prediction import FilmPrediction

DEFAULT_LABEL = "pneumonia"


@dataclass(frozen=True, eq=False)
class FilmAnnotation:
    """One film with its boxes, by a model, by persons, or by both.

    Args:
        name: file name or relative path with `/`, which tools use to find the film.
        boxes: N boxes in film pixels.
        labels: N labels.
        scores: (N,) scores; NaN for a box that a person drew or changed.
        keywords: the attribute words of each box, N tuples.
        annotators: who drew or changed each box, N names; "" for a box of the model.
        sentences: the sentence of the report that each box belongs to; "" where there is none.
        annotator: who reviewed the film, also if it has no box; "" if it is not reviewed.
        image_id: the film's id in a prediction or manifest, "" where not known.
        path: the film's file on this computer; never exported, "" where not known.
        p_pneumonia: the film's probability, None where not known.
        severity: the film's severity, None where not known.
        prediction: the model's answer, where all boxes come from it: the same boxes in the same
            order. It holds what most formats have no field for.

    Raises:
        ValueError: unequal lengths.
    """

    name: str
    boxes: Boxes
    labels: tuple[str, ...]
    scores: Floats
    keywords: tuple[tuple[str, ...], ...]
    annotators: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    annotator: str = ""
    image_id: str = ""
    path: str = ""
    p_pneumonia: float | None = None
    severity: float | None = None
    prediction: FilmPrediction | None = None

    def __post_init__(self) -> None:
        if not self.annotators:
            object.__setattr__(self, "annotators", (self.annotator,) * len(self.boxes))
        if not self.sentences:
            object.__setattr__(self, "sentences", ("",) * len(self.boxes))
        counts = {
            name: len(getattr(self, name))
            for name in ("labels", "scores", "keywords", "annotators", "sentences")
        }
        if self.prediction is not None:
            counts["prediction"] = len(self.prediction)
        for name, count in counts.items():
            if count != len(self.boxes):
                raise ValueError(
                    f"film {self.name!r}, {name}: expected one for each of {len(self.boxes)} "
                    f"boxes, got {count}"
                )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def xyxy(self) -> Floats:
        """(N, 4) corners in film pixels."""
        return self.boxes.xyxy

    @property
    def width(self) -> int:
        """Width of the film in pixels."""
        return self.boxes.width

    @property
    def height(self) -> int:
        """Height of the film in pixels."""
        return self.boxes.height

    @property
    def is_reviewed(self) -> bool:
        """Whether a person reviewed the film or drew one of its boxes."""
        return bool(self.annotator) or any(self.annotators)

    def score(self, box: int) -> float | None:
        """The score of a box, None where it has none."""
        value = float(self.scores[box])
        return value if np.isfinite(value) else None


@dataclass(frozen=True)
class Annotations:
    """Films with boxes that can be read any number of times, with one film in memory.

    Args:
        labels: the classes in the order of their numbers.
        keywords: all attribute words.
        model: name of the model, or of where the boxes come from.
        films: starts a new pass over the films.
        count: number of films.
        has_sentences: boxes belong to sentences of reports.
        names: starts a pass over their names alone, which may be faster.
    """

    labels: tuple[str, ...]
    keywords: tuple[str, ...]
    model: str
    films: Callable[[], Iterator[FilmAnnotation]]
    count: int
    has_sentences: bool = False
    names: Callable[[], Iterator[str]] | None = None

    def __iter__(self) -> Iterator[FilmAnnotation]:
        return self.films()

    def __len__(self) -> int:
        return self.count

    def film_names(self) -> Iterator[str]:
        """The names of all films, in order."""
        return (film.name for film in self) if self.names is None else self.names()


def annotations_of_films(
    films: Iterable[FilmAnnotation], *, keywords: tuple[str, ...] = (), model: str = ""
) -> Annotations:
    """A hub from films in memory; its labels are those of the boxes, sorted."""
    listed = tuple(films)
    labels = sorted({label for film in listed for label in film.labels})
    return Annotations(
        tuple(labels) or (DEFAULT_LABEL,),
        keywords,
        model,
        lambda: iter(listed),
        len(listed),
        any(sentence for film in listed for sentence in film.sentences),
    )
