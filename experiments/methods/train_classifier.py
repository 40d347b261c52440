"""`train_classifier`: film labels to a classifier, saved at its highest validation AUC."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.leaks import refuse_overlap_leaks
from data_manifests.tables.manifest import Manifest
from detector.config import DetectorTrainConfig
from detector.dataset import FilmDataset, FilmKey, draw_weights, epoch_order
from detector.network.backbones import load_backbone_weights
from detector.optimization import learning_rate
from detector.run.provenance import manifest_sha256, provenance
from experiments.methods.classifier import (
    ClassifierSettings,
    FilmClassifier,
    build_classifier,
    film_labels,
    square_films,
    write_classifier,
)

RESULT = "classifier.json"
CLIP_NORM = 5.0
logger = logging.getLogger(__name__)


def train_classifier(
    train: Manifest,
    val: Manifest,
    out: Path,
    *,
    settings: ClassifierSettings,
    backbone_weights: Path | None,
    device: torch.device,
) -> None:
    """Train on the film labels of `train`; films without a known label are left out.

    Writes `classifier.safetensors` and `classifier.json`. The same seed gives the same weights. An
    interrupted training starts again: it takes minutes.

    Raises:
        DataError: films of one kind only, a patient on both sides, or an unreadable film.
    """
    refuse_overlap_leaks(train, val)
    train, val = (_labelled(part, name) for part, name in ((train, "train"), (val, "val")))
    training, config = settings.training, settings.classifier
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(training.seed)  # of the initial weights; the state is restored below
    model, backbone = build_classifier(config)
    torch.random.set_rng_state(torch_state)
    if backbone_weights is not None:
        load_backbone_weights(backbone, backbone_weights)
    model.to(device)
    films = FilmDataset(train, image_size=config.image_size, seed=training.seed)
    labels = torch.from_numpy(film_labels(train).astype(np.float32)).to(device)
    draws = DetectorTrainConfig(
        seed=training.seed,
        batch_size=training.batch_size,
        epoch_films=training.epoch_films,
        boxed_share=training.boxed_share,
        source_weights=training.source_weights,
    )
    weights = draw_weights(train, draws)
    steps = len(epoch_order(len(films), weights, draws, 0)) // training.batch_size
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=training.lr, weight_decay=training.weight_decay)
    best, waited, history = -1.0, 0, []
    bar = progress_bar(total=training.epochs * steps, desc="classifier", unit="step")
    for epoch in range(training.epochs):
        model.train()
        losses = []
        order = epoch_order(len(films), weights, draws, epoch)
        for step in range(steps):
            rows = order[step * training.batch_size : (step + 1) * training.batch_size]
            first = step * training.batch_size
            images = [
                films[FilmKey(int(row), epoch, first + k)].image for k, row in enumerate(rows)
            ]
            logits = model(square_films(images, config.image_size).to(device))[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits.float(), labels[rows])
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"classifier loss not finite in epoch {epoch}; lower training.lr"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            rate = learning_rate(
                epoch * steps + step, training.epochs * steps, training.warmup_steps
            )
            for group in optimizer.param_groups:
                group["lr"] = training.lr * rate
            optimizer.step()
            losses.append(float(loss.detach()))
            bar.update()
        auc = validation_auc(model, val, config.image_size, training.batch_size, device)
        history.append({"epoch": epoch, "loss": float(np.mean(losses)), "val_auc": auc})
        logger.info("classifier epoch %d: validation AUC %.3f", epoch, auc)
        waited += 1
        if auc > best:
            best, waited = auc, 0
            write_classifier(model, out)
        if waited >= training.patience:
            break
    bar.close()
    write_json(
        out / RESULT,
        {
            **settings.model_dump(mode="json"),
            "val_auc": best,
            "epochs": history,
            "train_sha256": manifest_sha256(train),
            "val_sha256": manifest_sha256(val),
            "provenance": provenance(),
        },
    )


@torch.inference_mode()
def validation_auc(
    model: FilmClassifier, val: Manifest, image_size: int, batch_size: int, device: torch.device
) -> float:
    """Area under the ROC curve on films that all have a label."""
    model.eval()
    found: list[Floats] = []
    for images in _batches(FilmDataset(val, image_size=image_size, seed=None), batch_size):
        logits = model(square_films(images, image_size).to(device))[:, 0]
        found.append(logits.double().cpu().numpy())
    return float(roc_auc_score(film_labels(val), np.concatenate(found)))


def _batches(films: FilmDataset, size: int) -> Iterator[list[torch.Tensor]]:
    for start in range(0, len(films), size):
        rows = range(start, min(start + size, len(films)))
        yield [films[FilmKey(row, 0, row)].image for row in rows]


def _labelled(manifest: Manifest, name: str) -> Manifest:
    """The films with a known label; both classes must occur."""
    labels = film_labels(manifest)
    known = np.isfinite(labels)
    positives = int((labels[known] == 1).sum())
    if not 0 < positives < known.sum():
        raise DataError(
            f"classifier, {name} films: expected some with and some without opacity, "
            f"got {positives} of {int(known.sum())} with"
        )
    return manifest.subset(known.tolist())
