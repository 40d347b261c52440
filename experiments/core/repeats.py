"""Several draws of a method on the same films: copies of the films under ids such as `draw-0:film`.

Each number is then the mean of the draws (where it is a mean over films or boxes; AP and AUC rank
the boxes and films of all draws together), and a bootstrap draws all copies of a patient together.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from data_manifests.tables.manifest import Manifest, make_manifest
from localize.prediction.tables import Prediction


def repeated_manifest(manifest: Manifest, draws: int) -> Manifest:
    """The films `draws` times under new ids; patients stay."""
    images, boxes, labels = (
        _joined([getattr(manifest, name)] * draws) for name in ("images", "boxes", "labels")
    )
    return make_manifest(images, boxes, None, labels, info=manifest.info, root=manifest.root)


def repeated_prediction(prediction: Prediction, draws: int) -> Prediction:
    """The same prediction for each copy of `repeated_manifest`."""
    return joined_draws([prediction] * draws)


def joined_draws(predictions: Sequence[Prediction]) -> Prediction:
    """A prediction of each copy of `repeated_manifest`, in order."""
    images, boxes, attributes = (
        _joined([getattr(one, name) for one in predictions])
        for name in ("images", "boxes", "attributes")
    )
    return Prediction(images, boxes, attributes, predictions[0].info)


def drawn_id(draw: int, image_id: str) -> str:
    """The id of a film's copy."""
    return f"draw-{draw}:{image_id}"


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    parts = [
        table.assign(image_id=[drawn_id(draw, str(image_id)) for image_id in table["image_id"]])
        for draw, table in enumerate(tables)
    ]
    return pd.concat(parts, ignore_index=True)
