"""`PairFilms`: everything the gates of one seed learn from and are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from attributes.targets.training_targets import read_pneumonia_like, read_targets
from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest, read_manifest
from detector.detector import load_detector
from detector.film_maps import FilmMaps, StackedMaps, read_film_maps, write_film_maps
from experiments.attention.hospital_b import FILMS, MINED, Part
from localize.adaptation.opacity_words import FilmWords, read_film_words
from localize.pipeline.cached import cached
from localize.training.train_gate import GatePairs


@dataclass(frozen=True)
class PairFilms:
    """Films in the order of their series: maps, reports and true boxes (G, 4) in film pixels.

    The true boxes are read by the ceiling `truth` and by the evaluation alone.
    """

    maps: FilmMaps
    reports: tuple[FilmWords, ...]
    words: GatePairs
    keywords: tuple[str, ...]
    true_boxes: tuple[Floats, ...]

    def first(self, count: int) -> PairFilms:
        """The first `count` films."""
        words = self.words
        return PairFilms(
            self.maps.subset(np.arange(count)),
            self.reports[:count],
            GatePairs(words.targets[:count], words.mask[:count], words.words[:count]),
            self.keywords,
            self.true_boxes[:count],
        )


@dataclass(frozen=True)
class TestFilms:
    """Test films: maps and true boxes."""

    __test__ = False  # not a test for pytest

    maps: FilmMaps
    true_boxes: tuple[Floats, ...]


def read_test(part: Part, detector: Path, device: torch.device) -> TestFilms:
    """The test films of a part, their maps computed."""
    films = read_manifest(part.folder / FILMS)
    return TestFilms(_maps(films, part, detector, device), _true_boxes(films))


def read_boxed(films: Manifest, detector: Path, folder: Path, device: torch.device) -> TestFilms:
    """Hospital A's films, their maps in `folder`."""
    return TestFilms(stored_maps(films, detector, folder, device), _true_boxes(films))


def read_pairs(part: Part, detector: Path, device: torch.device) -> PairFilms:
    """The pairs of one part."""
    films, mined = read_manifest(part.folder / FILMS), part.folder / MINED
    targets = read_targets(mined, policy="closed-world")
    studies = np.array([targets.row_of[study] for study in films.images["study_id"]])
    values, mask = targets.targets[studies], targets.mask[studies]
    return PairFilms(
        maps=_maps(films, part, detector, device),
        reports=tuple(read_film_words(films, mined, read_pneumonia_like(mined))),
        words=GatePairs(values, mask, np.logical_and(values > 0.5, mask > 0)),
        keywords=targets.keywords,
        true_boxes=_true_boxes(films),
    )


def join_pairs(parts: list[PairFilms]) -> PairFilms:
    """The films of all parts, in their order."""
    first = parts[0]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part.maps, name) for part in parts])

    return PairFilms(
        maps=FilmMaps(
            image_ids=tuple(one for part in parts for one in part.maps.image_ids),
            level_shapes=first.maps.level_shapes,
            detector_sha256=first.maps.detector_sha256,
            maps=StackedMaps.of([np.asarray(part.maps.maps) for part in parts]),
            anchors=joined("anchors"),
            boxes=joined("boxes"),
            logits=joined("logits"),
            lowest_anchors=joined("lowest_anchors"),
            lowest_boxes=joined("lowest_boxes"),
            sizes=joined("sizes"),
        ),
        reports=tuple(one for part in parts for one in part.reports),
        words=GatePairs(
            *(
                np.concatenate([getattr(part.words, name) for part in parts])
                for name in ("targets", "mask", "words")
            )
        ),
        keywords=first.keywords,
        true_boxes=tuple(one for part in parts for one in part.true_boxes),
    )


def stored_maps(films: Manifest, detector: Path, folder: Path, device: torch.device) -> FilmMaps:
    """The maps of films in `folder`, computed once for a detector."""
    loaded = load_detector(detector)
    cached(
        folder,
        {"detector_sha256": loaded.sha256, "films": len(films.images)},
        lambda out: write_film_maps(loaded, films, out, device=device),
    )
    return read_film_maps(folder)


def _maps(films: Manifest, part: Part, detector: Path, device: torch.device) -> FilmMaps:
    return stored_maps(films, detector, part.folder / "maps", device)


def _true_boxes(films: Manifest) -> tuple[Floats, ...]:
    by_image = films.boxes_by_image()
    return tuple(by_image.get(name, np.zeros((0, 4))) for name in films.images["image_id"])
