"""Films and predictions of several seeds as one: ids get the seed in front."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from data_manifests.tables.manifest import Manifest, make_manifest
from localize.prediction.tables import Prediction

TABLES = ("images", "boxes", "reports", "labels")


def pooled_manifest(parts: Sequence[tuple[int, Manifest]]) -> Manifest:
    """The films of all (seed, manifest), under ids such as `3:phB-s3-000012`.

    Films are not read from it: they lie in several folders, and its root is that of the first.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for seed, manifest in parts:
        for name in TABLES:
            table = getattr(manifest, name).copy()
            for column in ("image_id", "patient_id", "study_id"):
                if column in table:
                    table[column] = f"{seed}:" + table[column].astype("str")
            tables[name].append(table)
    joined = {name: pd.concat(found, ignore_index=True) for name, found in tables.items()}
    return make_manifest(**joined, info=parts[0][1].info, root=parts[0][1].root)


def pooled_prediction(parts: Sequence[tuple[int, Prediction]], draws: int = 1) -> Prediction:
    """The predictions of all (seed, prediction) under the ids of `pooled_manifest`.

    A prediction of several draws has ids `draw-0:film`; the seed goes between.
    """
    images, boxes, attributes = (
        pd.concat([_named(getattr(part, name), seed, draws) for seed, part in parts]).reset_index(
            drop=True
        )
        for name in ("images", "boxes", "attributes")
    )
    return Prediction(images, boxes, attributes, parts[0][1].info)


def _named(table: pd.DataFrame, seed: int, draws: int) -> pd.DataFrame:
    ids = table["image_id"].astype("str")
    if draws == 1:
        return table.assign(image_id=f"{seed}:" + ids)
    split = ids.str.split(":", n=1)
    return table.assign(image_id=split.str[0] + f":{seed}:" + split.str[1])
