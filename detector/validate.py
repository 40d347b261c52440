"""`validate_detector`: average precision on a manifest, the measure that selects weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.dataset import FilmDataset, FilmKey, TrainingFilm
from detector.network.torchvision_parts import RetinaNet

BATCH = 8
# Two thresholds: at .5 alone the average precision of a few dozen films jumps between epochs.
THRESHOLDS = (0.25, 0.5)


@dataclass(frozen=True)
class ValidationScores:
    """COCO average precision at IoU .25 and .5 (None: undefined) and their mean, `selection`."""

    ap_25: float | None
    ap_50: float | None
    selection: float

    def as_metrics(self) -> dict[str, float | int | None]:
        """For `metrics.jsonl`."""
        return asdict(self)

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, float | int | None]) -> ValidationScores:
        """The reverse of `as_metrics`."""
        return cls(metrics["ap_25"], metrics["ap_50"], metrics["selection"] or 0.0)


@torch.inference_mode()
def validate_detector(
    model: RetinaNet,
    manifest: Manifest,
    image_size: int,
    device: torch.device,
    *,
    read: Callable[[int], TrainingFilm] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ValidationScores | None:
    """Average precision of the model's own detections on all films of a manifest.

    `read` gives the film of a row where films are in memory, by default they are read from disk.
    `should_stop` is asked between batches; if it says yes the answer is None.
    """
    model.eval()
    films = FilmDataset(manifest, image_size=image_size, seed=None)
    film = read or (lambda row: films[FilmKey(row, 0, row)])
    metrics = [
        MeanAveragePrecision(
            iou_thresholds=[threshold],
            max_detection_thresholds=[1, 10, 100],
            sync_on_compute=False,  # one process validates; the others would be waited for forever
        )
        for threshold in THRESHOLDS
    ]
    for start in progress_bar(
        range(0, len(films), BATCH), desc="validate", unit="batch", leave=False
    ):
        if should_stop():
            return None
        batch = [film(k) for k in range(start, min(start + BATCH, len(films)))]
        found: list[dict[str, Tensor]] = model([film.image.to(device) for film in batch])
        predicted = [{name: value.cpu() for name, value in one.items()} for one in found]
        true = [
            {"boxes": film.boxes, "labels": torch.zeros(len(film.boxes), dtype=torch.int64)}
            for film in batch
        ]
        for metric in metrics:
            metric.update(predicted, true)
    # torchmetrics answers -1 where there is nothing to find.
    values = [float(metric.compute()["map"]) for metric in metrics]
    found_ap = [None if value < 0 else value for value in values]
    return ValidationScores(
        ap_25=found_ap[0],
        ap_50=found_ap[1],
        selection=sum(value or 0.0 for value in found_ap) / len(found_ap),
    )
