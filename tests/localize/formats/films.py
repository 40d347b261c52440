"""Films with random boxes, and hostile names, for the tests of the formats."""

from __future__ import annotations

import numpy as np

from data_manifests.boxes import Boxes
from localize.formats.hub.annotations import Annotations, FilmAnnotation, annotations_of_films
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm

KEYWORDS = ("left", "right", "lower")
HOSTILE_NAMES = (
    "<script>alert(1)</script>.png",
    "../../outside.png",
    "/etc/passwd.png",
    "quo\"te's & <b>.png",
    "x" * 300 + ".png",
    "胸部X線/左 肺.png",
    "צילום חזה.png",
    "1.2.840.113619.2.5.1762583153.215519.978957063.78",
    "1.2.840.10008.1.2.dcm",
    "ward 1/sub.folder/film.v2.png",
    "new\nline\ttab.png",
    "nul\x00byte.png",
    "back\\slash..\\..\\x.png",
    "con.png",
    "-rf.png",
    ".hidden.png",
    "same.png",
    "same.jpg",
    "SAME.png",
    "percent%2F..%2Fx?d=1#y.png",
    "]]>.png",
    "=HYPERLINK(1).png",
    "half\ud800surrogate.png",
)


def make_film(
    name="film.png", boxes=((10.0, 20.0, 110.0, 220.0),), *, width=512, height=640, **known
) -> FilmAnnotation:
    """A film of a model's answer with these boxes."""
    count = len(boxes)
    values = {
        "name": name,
        "boxes": Boxes(np.array(boxes, dtype=np.float64).reshape(-1, 4), width, height),
        "labels": ("pneumonia",) * count,
        "scores": np.linspace(0.9, 0.3, count) if count else np.zeros(0),
        "keywords": (("left", "lower"),) * count,
        "image_id": name.rsplit(".", 1)[0],
        "p_pneumonia": 0.75,
        "severity": 3.5,
    }
    return FilmAnnotation(**{**values, **known})


def make_imported(
    name="film.png", boxes=((10.0, 20.0, 110.0, 220.0),), *, size=(512, 640), **known
) -> ImportedFilm:
    """A film as an annotation file states it; `labels`, `annotators`: one for each box."""
    labels = known.pop("labels", ("pneumonia",) * len(boxes))
    annotators = known.pop("annotators", ("",) * len(boxes))
    listed = tuple(
        ImportedBox(tuple(box), label, annotator=annotator)
        for box, label, annotator in zip(boxes, labels, annotators, strict=True)
    )
    return ImportedFilm(
        name, listed, size, image_id=known.pop("image_id", name.rsplit(".", 1)[0]), **known
    )


def make_annotations(*films: FilmAnnotation, keywords=KEYWORDS) -> Annotations:
    """A hub with these films."""
    return annotations_of_films(films, keywords=keywords, model="bundle-1")


def random_films(
    count=10_000, *, is_whole=False, decimals=None, seed=0, per_film=100
) -> list[FilmAnnotation]:
    """`count` boxes from 1 x 1 to the whole of films up to 4096 x 4096, `per_film` on each.

    `is_whole` gives whole corners, `decimals` rounds them.
    """
    random = np.random.default_rng(seed)
    films = []
    for number in range(-(-count // per_film)):
        side = random.integers(64, 4097, size=2)
        # Log-uniform sizes, so that there are as many tiny boxes as large ones.
        size = np.exp(random.random((per_film, 2)) * np.log(side))
        size = np.clip(np.round(size) if is_whole else size, 1, side)
        low = random.random((per_film, 2)) * (side - size)
        low = np.floor(low) if is_whole else low
        corners = np.concatenate([low, np.minimum(low + size, side)], axis=1)
        films.append(
            make_film(
                f"film-{number:04d}.png",
                corners if decimals is None else np.round(corners, decimals),
                width=int(side[0]),
                height=int(side[1]),
                scores=np.sort(random.random(per_film))[::-1],
            )
        )
    return films


def paired_iou(a, b):
    """IoU of the n-th with the n-th box."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=1)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    return intersection / (areas - intersection)
