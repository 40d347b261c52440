"""Several repeats or seeds as one set of films, under ids such as `repeat-0:3:film`.

Metrics that are means over films or boxes become the mean of the repeats; AP and AUC rank the boxes
and films of all repeats together. Patients keep their ids over repeats, so a bootstrap draws all
copies of a patient together; each seed has patients of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from data_manifests.tables.manifest import Manifest, make_manifest
from localize.prediction.tables import Prediction

TABLES = ("images", "boxes", "reports", "labels")
PREDICTED = ("images", "boxes", "attributes")


def repeat_films(manifest: Manifest, repeats: int) -> Manifest:
    """The films once for each repeat; patients stay. One repeat returns the manifest itself."""
    if repeats == 1:
        return manifest
    tables = {
        name: _joined([(f"repeat-{k}", getattr(manifest, name)) for k in range(repeats)])
        for name in ("images", "boxes", "labels")
    }
    return make_manifest(**tables, info=manifest.info, root=manifest.root)


def join_repeats(predictions: Sequence[Prediction]) -> Prediction:
    """One prediction of the films of `repeat_films`; a single one is returned as it is."""
    if len(predictions) == 1:
        return predictions[0]
    return _joined_predictions([(f"repeat-{k}", one) for k, one in enumerate(predictions)])


def pool_films(parts: Sequence[tuple[int, Manifest]]) -> Manifest:
    """The films of all (seed, manifest); films, patients and studies are those of their seed.

    Films cannot be read from it: they lie in several folders, and its root is the first one's.
    """
    tables = {
        name: _joined(
            [(str(seed), getattr(manifest, name)) for seed, manifest in parts],
            columns=("image_id", "patient_id", "study_id"),
        )
        for name in TABLES
    }
    return make_manifest(**tables, info=parts[0][1].info, root=parts[0][1].root)


def pool_predictions(parts: Sequence[tuple[int, Prediction]]) -> Prediction:
    """The predictions of all (seed, prediction), for the films of `pool_films`."""
    return _joined_predictions([(str(seed), one) for seed, one in parts])


def concatenated(predictions: Sequence[Prediction]) -> Prediction:
    """The predictions of films whose ids differ already."""
    tables = {
        name: pd.concat([getattr(one, name) for one in predictions], ignore_index=True)
        for name in PREDICTED
    }
    return Prediction(**tables, info=predictions[0].info, borders={})


def _joined_predictions(parts: Sequence[tuple[str, Prediction]]) -> Prediction:
    tables = {
        name: _joined([(prefix, getattr(one, name)) for prefix, one in parts]) for name in PREDICTED
    }
    return Prediction(**tables, info=parts[0][1].info, borders={})


def _joined(
    parts: Sequence[tuple[str, pd.DataFrame]], columns: Sequence[str] = ("image_id",)
) -> pd.DataFrame:
    """The tables below each other, with their prefix before the ids in `columns`."""
    renamed = [
        table.assign(
            **{name: f"{prefix}:" + table[name].astype("str") for name in columns if name in table}
        )
        for prefix, table in parts
    ]
    return pd.concat(renamed, ignore_index=True)
