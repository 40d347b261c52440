"""`TrainingData`: the film-report pairs, their regions and the word vectors of a training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.errors import DataError, Problem
from detector.roi_store import RoiStore
from localize.training.pairs import Pairs


@dataclass(frozen=True)
class TrainingData:
    """Training and validation pairs whose regions are in an open `store`.

    Raises:
        DataError: keywords of targets and vectors differ, or films or patients in both parts.
    """

    store: RoiStore
    train: Pairs
    val: Pairs
    words: WordVectors

    def __post_init__(self) -> None:
        problems = []
        for what, shared in (
            ("film", set(self.train.image_ids) & set(self.val.image_ids)),
            ("patient", set(self.train.patient_ids) & set(self.val.patient_ids)),
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
        for name, pairs in (("train", self.train), ("val", self.val)):
            if pairs.targets.shape[1] != len(self.words.keywords):
                problems.append(
                    Problem(
                        file="word vectors",
                        expected=f"{pairs.targets.shape[1]} keywords, as the {name} targets",
                        got=str(len(self.words.keywords)),
                        fix="mine and train vectors with the same lexicon",
                    )
                )
        if problems:
            raise DataError.from_problems(problems)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that `build_localizer` takes."""
        return {
            "feature_width": self.store.header.width,
            "word_width": self.words.vectors.shape[1],
            "keywords": len(self.words.keywords),
        }

    def checksums(self) -> dict[str, str]:
        """SHA-256 of both sets of pairs (without the regions) and of the words."""
        vectors, negatives = self.words.vectors, self.words.negatives
        return {
            "train_sha256": _pairs_sha256(self.train),
            "val_sha256": _pairs_sha256(self.val),
            "words_sha256": hashlib.sha256(vectors.tobytes() + negatives.tobytes()).hexdigest(),
        }


def _pairs_sha256(pairs: Pairs) -> str:
    digest = hashlib.sha256("\n".join(pairs.image_ids).encode())
    for array in (pairs.rows, pairs.targets, pairs.mask, *pairs.boxes):
        digest.update(b"none" if array is None else array.tobytes())
    return digest.hexdigest()
