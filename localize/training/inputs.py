"""What `train_localizer` does before the first step: checks, checksums, statistics."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.arrays import Bools, Ints
from data_manifests.support.errors import DataError, Problem
from detector.roi_store import RoiStore
from localize.network.config import LocalizeTrainConfig
from localize.network.film_answer import fit_film_answer
from localize.network.film_evidence import film_evidence
from localize.network.localizer import Localizer, Regions
from localize.training.pairs import Pairs

PLACE_AXES = ("laterality", "zone")
STATISTICS_FILMS = 512  # films that give the mean and spread of the region features
FILMS_READ = 32  # of these at a time, for their memory


def check_pairs(
    train: Pairs, val: Pairs, words: WordVectors, training: LocalizeTrainConfig
) -> None:
    """Refuse what cannot be trained on.

    Raises:
        DataError: keywords of targets and vectors differ, films or patients in both sets, or
            `selection` needs boxes that validation does not have.
    """
    problems = []
    for what, shared in (
        ("film", set(train.image_ids) & set(val.image_ids)),
        ("patient", set(train.patient_ids) & set(val.patient_ids)),
    ):
        if shared:
            problems.append(
                Problem(
                    file="images.csv",
                    field="split",
                    expected=f"train and val without a common {what}",
                    got=f"{len(shared)} in both",
                    fix="run `pneumoloc manifest split`",
                )
            )
    for name, pairs in (("train", train), ("val", val)):
        if pairs.targets.shape[1] != len(words.keywords):
            problems.append(
                Problem(
                    file="word vectors",
                    expected=f"{pairs.targets.shape[1]} keywords, as the {name} targets",
                    got=str(len(words.keywords)),
                    fix="mine and train vectors with the same lexicon",
                )
            )
    if training.selection == "boxes" and not any(
        boxes is not None and len(boxes) for boxes in val.boxes
    ):
        problems.append(
            Problem(
                file="boxes.csv",
                expected="boxes of validation films, since selection is by boxes",
                got="none",
                fix="use --set training.selection=loss",
            )
        )
    if problems:
        raise DataError.from_problems(problems)


def pairs_sha256(pairs: Pairs) -> str:
    """SHA-256 of what training reads of pairs beside the store's regions."""
    digest = hashlib.sha256("\n".join(pairs.image_ids).encode())
    for array in (pairs.rows, pairs.targets, pairs.mask, *pairs.boxes):
        digest.update(b"none" if array is None else array.tobytes())
    return digest.hexdigest()


def set_statistics(model: Localizer, store: RoiStore, pairs: Pairs) -> None:
    """Mean and spread of the region features, from evenly spaced training films."""
    rows = pairs.rows[:: max(1, len(pairs) // STATISTICS_FILMS)]
    width = len(model.fusion.feature_mean)
    count, total, squares = 0, np.zeros(width), np.zeros(width)
    for some in np.array_split(rows, -(-len(rows) // FILMS_READ)):
        batch = store.read(some)
        is_sound = np.asarray(np.isfinite(batch.features).all(axis=(1, 2)), dtype=np.bool_)
        _check_finite("features", is_sound, some, store, pairs)
        features = batch.features[batch.mask].astype(np.float64)
        count += len(features)
        total += features.sum(axis=0)
        squares += (features**2).sum(axis=0)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    # A channel that is always zero (dead ReLU) carries nothing; its spread must not divide by zero.
    model.fusion.feature_mean.copy_(torch.from_numpy(mean))
    model.fusion.feature_std.copy_(torch.from_numpy(np.maximum(spread, 1e-3)))


def set_film_answer(model: Localizer, store: RoiStore, pairs: Pairs) -> None:
    """Fit what the regions of a film together say of its keywords, from all training films."""
    if model.film_answer is None:
        return
    evidence = []
    for rows in np.array_split(pairs.rows, -(-len(pairs) // FILMS_READ)):
        regions = Regions.from_batch(store.read(rows), torch.device("cpu"))
        found = film_evidence(regions.geometry, regions.score_logits(), regions.mask)
        is_sound = torch.isfinite(found).all(dim=1).numpy()
        _check_finite("scores or boxes", is_sound, rows, store, pairs)
        evidence.append(found.double().numpy())
    fit_film_answer(model.film_answer, np.concatenate(evidence), pairs.targets, pairs.mask)


def _check_finite(
    what: str,
    is_sound: Bools,
    rows: Ints,
    store: RoiStore,
    pairs: Pairs,
) -> None:
    """Name the films of the rows that are not sound."""
    if not is_sound.all():
        films = ", ".join(np.array(pairs.image_ids)[np.isin(pairs.rows, rows[~is_sound])])
        raise FloatingPointError(
            f"{store.folder}: {what} not finite on films {films}; propose these films again"
        )


def set_places(model: Localizer, words: WordVectors) -> None:
    """Mark the keywords of place; "bilateral" is none, no single box shows it."""
    places = [
        axis in PLACE_AXES and keyword != "bilateral"
        for keyword, axis in zip(words.keywords, words.axes, strict=True)
    ]
    model.is_place.copy_(torch.tensor(places))
