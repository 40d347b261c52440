"""`FilmPrediction`: the prediction for one film, the source of all tables and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.films.read_film import read_film
from data_manifests.laterality import WHOLE_FILM, LungBorders
from data_manifests.support.arrays import Bools, Floats, Floats32, Ints
from localize.prediction.drawing import boxes_html, plot_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Opacity = Literal["yes", "no", "unsure", ""]
# A float32 softmax or sigmoid may end this far above 1.
ROUNDING = 1e-6
SHOWN_ATTRIBUTES = 5  # in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class FilmPrediction:
    """The boxes, attributes and severity of one film.

    Only what a method computed stands here: each box has a score. A box that a person drew is no
    prediction; it travels as `localize.formats.hub.annotations.FilmAnnotation`, which has a name,
    `Boxes`, labels and annotators, and refers to a `FilmPrediction` where the boxes are the
    model's. Boxes are always in pixels of the film (see `Boxes`).

    Args:
        image_id: id of the film in all tables, not empty.
        path: the film's path as the user named it; empty for a picture in memory.
        boxes: N boxes in film pixels, best first. No box is legal.
        scores: (N,) probability that a box matches a true one, in [0, 1], not rising.
        alphas: (N,) weight of each region in the film, in [0, 1]; NaN for methods without.
        detector_scores: (N,) the detector's own score, in [0, 1]; NaN for methods without.
        labels: N labels.
        box_attributes: the keywords of each box, N tuples.
        attributes: keyword -> probability for the film, in the order of the lexicon; empty for
            methods that predict none.
        unproven: keywords that were not shown to be right on real films; pages leave them out.
        p_pneumonia: probability of pneumonia in [0, 1]; None where the method states none.
        prevalence: the share of films with an opacity for which it is stated; None: not known.
        opacity: `yes`, `no` or `unsure` at 90 % confidence; empty without calibration.
        severity: severity score in the unit of the experts' score; None where not predicted.
        severity_interval: low and high end of its 90 % interval; None where not known.
        warning: why the picture or its file is no ordinary chest film; empty where it is.
        operating_point: score from which on boxes are drawn by default; None: all are.
        borders: sides and zones of the film: of its own lungs where `zones.csv` has them.
        file: the film's file on this computer, for drawing; never exported.
        picture: (height, width) float32 in [0, 1] of a film without a file, for drawing.

    Raises:
        ValueError: unequal lengths, a number outside its range, or scores that rise.
    """

    image_id: str
    path: str
    boxes: Boxes
    scores: Floats
    alphas: Floats
    detector_scores: Floats
    labels: tuple[str, ...]
    box_attributes: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, float] = field(default_factory=dict)
    p_pneumonia: float | None = None
    opacity: Opacity = ""
    severity: float | None = None
    severity_interval: tuple[float, float] | None = None
    warning: str = ""
    operating_point: float | None = None
    prevalence: float | None = None
    unproven: tuple[str, ...] = ()
    borders: LungBorders = WHOLE_FILM
    file: Path | None = None
    picture: Floats32 | None = None

    def __post_init__(self) -> None:
        if not self.image_id:
            raise ValueError("image_id: expected an id, got an empty text")
        for name in ("scores", "alphas", "detector_scores"):
            object.__setattr__(self, name, self._shares(name, may_be_nan=name != "scores"))
        if (self.scores[1:] > self.scores[:-1]).any():
            rises = np.flatnonzero(np.diff(self.scores) > 0)
            raise ValueError(
                f"film {self.image_id!r}, scores: expected the best box first, got "
                f"{self.scores[rises[0] + 1]} after {self.scores[rises[0]]} at {rises[0] + 1}"
            )
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "box_attributes", tuple(map(tuple, self.box_attributes)))
        for name in ("labels", "box_attributes"):
            if len(getattr(self, name)) != len(self.boxes):
                raise ValueError(
                    f"film {self.image_id!r}, {name}: expected one for each of "
                    f"{len(self.boxes)} boxes, got {len(getattr(self, name))}"
                )
        attributes = {word: float(value) for word, value in self.attributes.items()}
        object.__setattr__(self, "attributes", MappingProxyType(attributes))
        known = {f"attributes[{word!r}]": value for word, value in attributes.items()}
        if self.p_pneumonia is not None:
            known["p_pneumonia"] = self.p_pneumonia
        if self.operating_point is not None:
            known["operating_point"] = self.operating_point
        if self.prevalence is not None:
            known["prevalence"] = self.prevalence
        for name, value in known.items():
            if not 0 <= value <= 1 + ROUNDING:
                raise ValueError(
                    f"film {self.image_id!r}, {name}: expected a probability in [0, 1], got {value}"
                )
        if self.opacity not in get_args(Opacity):
            raise ValueError(
                f"film {self.image_id!r}, opacity: expected yes, no, unsure or an empty text, "
                f"got {self.opacity!r}"
            )
        self._check_severity()

    def __repr__(self) -> str:
        numbers = {"P(pneumonia)": self.p_pneumonia, "severity": self.severity}
        known = [f"{name} {value:.2f}" for name, value in numbers.items() if value is not None]
        return f"FilmPrediction({', '.join([self.image_id, f'{len(self)} boxes', *known])})"

    def __len__(self) -> int:
        return len(self.boxes)

    def __reduce__(self) -> tuple[Any, ...]:  # Any: pickle's own contract
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return type(self), tuple({**values, "attributes": dict(self.attributes)}.values())

    def select(self, rows: Sequence[int] | Ints | Bools) -> FilmPrediction:
        """The same film with only these boxes: falling indices or an (N,) bool mask."""
        wanted = np.asarray(rows)
        if wanted.dtype == np.bool_ and len(wanted) != len(self):
            raise ValueError(f"rows: expected a mask of {len(self)} boxes, got {len(wanted)}")
        chosen = np.arange(len(self))[wanted if wanted.size else wanted.astype(np.int64)]
        return replace(
            self,
            boxes=self.boxes.select(chosen),
            scores=self.scores[chosen],
            alphas=self.alphas[chosen],
            detector_scores=self.detector_scores[chosen],
            labels=tuple(self.labels[k] for k in chosen),
            box_attributes=tuple(self.box_attributes[k] for k in chosen),
        )

    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON holds
        """Plain numbers, texts, lists and dicts, as JSON can hold them; None where not known.

        `file` and `picture` are left out.
        """
        columns = ("scores", "alphas", "detector_scores")
        numbers = np.stack([getattr(self, name) for name in columns], axis=1).tolist()
        return {
            "image_id": self.image_id,
            "path": self.path,
            "width": self.boxes.width,
            "height": self.boxes.height,
            "boxes": [
                {
                    "xyxy": corners,
                    "score": score,
                    "alpha": None if np.isnan(alpha) else alpha,
                    "detector_score": None if np.isnan(detector_score) else detector_score,
                    "label": label,
                    "attributes": list(words),
                }
                for corners, (score, alpha, detector_score), label, words in zip(
                    self.boxes.xyxy.tolist(),
                    numbers,
                    self.labels,
                    self.box_attributes,
                    strict=True,
                )
            ],
            "attributes": dict(self.attributes),
            "p_pneumonia": self.p_pneumonia,
            "opacity": self.opacity,
            "severity": self.severity,
            "severity_interval": self.severity_interval and list(self.severity_interval),
            "warning": self.warning,
            "operating_point": self.operating_point,
            "prevalence": self.prevalence,
            "unproven": list(self.unproven),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FilmPrediction:
        """The film of a `to_dict`.

        Raises:
            KeyError: a field is missing.
            ValueError: see `FilmPrediction`.
        """
        boxes = content["boxes"]
        interval = content["severity_interval"]

        def column(name: str) -> Floats:
            return np.array([box[name] for box in boxes], dtype=np.float64)  # None becomes NaN

        return cls(
            image_id=content["image_id"],
            path=content["path"],
            boxes=Boxes(column("xyxy").reshape(-1, 4), content["width"], content["height"]),
            scores=column("score"),
            alphas=column("alpha"),
            detector_scores=column("detector_score"),
            labels=tuple(box["label"] for box in boxes),
            box_attributes=tuple(tuple(box["attributes"]) for box in boxes),
            attributes=content["attributes"],
            p_pneumonia=content["p_pneumonia"],
            opacity=content["opacity"],
            severity=content["severity"],
            severity_interval=None if interval is None else (interval[0], interval[1]),
            warning=content["warning"],
            operating_point=content.get("operating_point"),  # earlier versions wrote none
            prevalence=content.get("prevalence"),
            unproven=tuple(content.get("unproven", ())),
        )

    def shown_attributes(self) -> dict[str, float]:
        """`attributes` without `unproven` ones."""
        return {word: p for word, p in self.attributes.items() if word not in self.unproven}

    def pixels(self) -> Floats32 | None:
        """The film (H, W) in [0, 1] from `picture` or `file`; None where there is neither."""
        if self.picture is not None or self.file is None or not self.file.is_file():
            return self.picture
        return read_film(self.file).pixels

    def plot(self, axes: Axes | None = None, *, min_score: float | None = None) -> Axes:
        """Draw the film and its boxes with matplotlib; returns the axes.

        Args:
            axes: to draw on; new ones by default.
            min_score: boxes with a lower score are left out; the film's operating point by default,
                if it has one. 0 draws all boxes.
        """
        shown = self._drawn(min_score)
        return plot_boxes(
            self.pixels(), shown.boxes, shown._captions(), self._title(len(shown)), axes
        )

    def _repr_html_(self) -> str:
        """A picture with the boxes of `plot` and a table, for notebooks."""
        shown = self._drawn(None)
        likely = sorted(self.shown_attributes().items(), key=lambda item: -item[1])
        rows = [("film", self.image_id), *self._film_numbers(len(shown))]
        rows += [(word, f"{value:.2f}") for word, value in likely[:SHOWN_ATTRIBUTES]]
        if self.warning:
            rows.append(("warning", self.warning))
        return boxes_html(self.pixels(), shown.boxes, shown._captions(), rows)

    def _drawn(self, min_score: float | None) -> FilmPrediction:
        """The film with the boxes from a least score on, by default from the operating point."""
        least = self.operating_point if min_score is None else min_score
        return self if least is None else self.select(self.scores >= least)

    def _captions(self) -> list[str]:
        columns = zip(self.labels, self.scores.tolist(), self.box_attributes, strict=True)
        return [" ".join([label, f"{score:.2f}", *words]) for label, score, words in columns]

    def _title(self, drawn: int) -> str:
        numbers = [f"{name} {value}" for name, value in self._film_numbers(drawn)]
        return ", ".join([self.image_id, *numbers]) + (f"\n{self.warning}" if self.warning else "")

    def _film_numbers(self, drawn: int) -> list[tuple[str, str]]:
        """Name and text of the film's own numbers, those that are known, and its drawn boxes."""
        boxes = str(drawn) if drawn == len(self) else f"{drawn} of {len(self)}"
        rows = [("boxes", boxes)]
        if self.p_pneumonia is not None:
            call = f" (opacity: {self.opacity})" if self.opacity else ""
            rows.append(("P(pneumonia)", f"{self.p_pneumonia:.2f}{call}"))
        if self.severity is not None:
            low, high = self.severity_interval or (None, None)
            interval = "" if low is None else f" [{low:.1f}, {high:.1f}]"
            rows.append(("severity", f"{self.severity:.1f}{interval}"))
        return rows

    def _shares(self, name: str, *, may_be_nan: bool) -> Floats:
        """A read-only copy of (N,) numbers in [0, 1]."""
        values = np.array(getattr(self, name), dtype=np.float64)
        if values.shape != (len(self.boxes),):
            raise ValueError(
                f"film {self.image_id!r}, {name}: expected shape ({len(self.boxes)},), one for "
                f"each box, got {values.shape}"
            )
        is_fine = (values >= 0) & (values <= 1 + ROUNDING)
        if may_be_nan:
            is_fine |= np.isnan(values)
        if not is_fine.all():
            raise ValueError(
                f"film {self.image_id!r}, {name}: expected numbers in [0, 1], "
                f"got {values[~is_fine][0]} at {int(np.flatnonzero(~is_fine)[0])}"
            )
        values.setflags(write=False)
        return values

    def _check_severity(self) -> None:
        numbers = [] if self.severity is None else [self.severity]
        if self.severity_interval is not None:
            numbers += [*self.severity_interval]
            if self.severity is None or len(self.severity_interval) != 2:
                raise ValueError(
                    f"film {self.image_id!r}, severity_interval: expected low and high of a known "
                    f"severity, got {self.severity_interval} of {self.severity}"
                )
            low, high = self.severity_interval
            if low > high:
                raise ValueError(
                    f"film {self.image_id!r}, severity_interval: expected low <= high, "
                    f"got {low} and {high}"
                )
        if not np.isfinite(numbers).all():
            raise ValueError(f"film {self.image_id!r}, severity: expected finite numbers or None")


@dataclass(frozen=True)
class SkippedFilm:
    """A film that could not be read, and why."""

    image_id: str
    path: str
    error: str

    def to_dict(self) -> dict[str, str]:
        """The three fields."""
        return {"image_id": self.image_id, "path": self.path, "error": self.error}
