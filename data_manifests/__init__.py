"""Films, boxes and reports: reading films, the manifest, its checks and splits, and the phantom.

The names below are imported when they are first used, so that the package itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_manifests.support.lazy_names import lazy_names

if TYPE_CHECKING:
    from data_manifests.boxes import Boxes
    from data_manifests.films.read_film import Film, read_film
    from data_manifests.laterality import LungBorders, Place, places_of
    from data_manifests.tables.check import check_manifest
    from data_manifests.tables.manifest import (
        Manifest,
        make_manifest,
        read_manifest,
        write_manifest,
    )
    from data_manifests.tables.split import split_manifest

__all__ = (
    "Boxes",
    "Film",
    "LungBorders",
    "Manifest",
    "Place",
    "check_manifest",
    "make_manifest",
    "places_of",
    "read_film",
    "read_manifest",
    "split_manifest",
    "write_manifest",
)
__getattr__ = lazy_names(
    __name__,
    {
        "boxes": ("Boxes",),
        "films.read_film": ("Film", "read_film"),
        "laterality": ("LungBorders", "Place", "places_of"),
        "tables.check": ("check_manifest",),
        "tables.manifest": ("Manifest", "make_manifest", "read_manifest", "write_manifest"),
        "tables.split": ("split_manifest",),
    },
)
