"""`BoxedFilms`: the films with boxes that a detector is trained and validated on."""

from __future__ import annotations

from dataclasses import dataclass

from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from detector.run.provenance import manifest_sha256


@dataclass(frozen=True)
class BoxedFilms:
    """Training and validation films; films without boxes are negatives.

    Raises:
        DataError: a part without any box, or a patient or film file in both.
    """

    train: Manifest
    val: Manifest

    def __post_init__(self) -> None:
        problems = [
            Problem(
                file=f"{name} boxes",
                expected="at least one box",
                got="none",
                fix="the detector learns from boxes; check the manifest's splits",
            )
            for name, part in (("train", self.train), ("val", self.val))
            if part.boxes.empty
        ]
        shared = set(self.train.images["patient_id"]) & set(self.val.images["patient_id"])
        if shared:
            problems.append(
                Problem(
                    file="images.csv",
                    field="split",
                    expected="train and val without a common patient",
                    got=f"{len(shared)} patients in both",
                    fix="run `pneumoloc manifest split`",
                )
            )
        equal = set(self.train.images["sha256"]) & set(self.val.images["sha256"]) - {""}
        if equal:
            problems.append(
                Problem(
                    file="images.csv",
                    field="sha256",
                    expected="train and val without a common film",
                    got=f"{len(equal)} film files in both",
                    fix="merge their patients, then run `pneumoloc manifest split`",
                )
            )
        if problems:
            raise DataError.from_problems(problems)

    @classmethod
    def of(cls, films: Manifest) -> BoxedFilms:
        """The splits train and val of a manifest.

        Raises:
            DataError: a split without films, a part without any box, or a patient in both.
        """
        return cls(films.split("train"), films.split("val"))

    def checksums(self) -> dict[str, str]:
        """SHA-256 of both parts: films and boxes."""
        return {
            "train_sha256": manifest_sha256(self.train),
            "val_sha256": manifest_sha256(self.val),
        }
