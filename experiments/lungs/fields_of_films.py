"""`fields_of_films`: the lung fields of a manifest's films, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_manifests.films.read_film import read_film
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.lungs.lung_fields import LungFields
from detector.lungs.segment import LungSegmenter


def fields_of_films(segmenter: LungSegmenter, films: Manifest) -> Mapping[str, LungFields]:
    """image_id -> lung fields."""
    return dict(_all(segmenter, films))


def _all(segmenter: LungSegmenter, films: Manifest) -> Iterator[tuple[str, LungFields]]:
    pairs = list(zip(films.images["image_id"], films.film_paths(), strict=True))
    for image_id, path in progress_bar(pairs, desc="lung fields", unit="film"):
        yield str(image_id), segmenter.fields(read_film(path).pixels)
