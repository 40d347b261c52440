"""`PhantomRun`: phantom films, detector and ROIs of each seed, and what methods get of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from data_manifests.tables.manifest import Manifest, read_manifest
from experiments.methods.classifier import ClassifierSettings
from experiments.methods.inputs import ExperimentInput, TestSet
from localize.adaptation.adapt_detector import Adaptation
from localize.bundle.packaged import FIRST_BUNDLE
from localize.pipeline.cached import cached
from localize.pipeline.phantom_stages import PhantomSize, hospital_a_stage, hospital_b_stage
from localize.pipeline.stages import PairParts

CPU = torch.device("cpu")
DATASET = "phantom hospital B, test"


@dataclass(frozen=True)
class PhantomRun:
    """A run on phantom films in the output folder `out`; finished parts there are not redone.

    Args:
        out: output folder with a folder for each seed.
        size: how many films, and how the detector is trained.
        classifier: settings of the film classifier of the heat maps.
        adaptation: how a detector is trained further.
        shift: strength of hospital B's shift, default that of `size`; hospital A and its detector
            stay the same.
        pairs: number of training films of hospital B, default all.
    """

    out: Path
    size: PhantomSize
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    adaptation: Adaptation = field(default_factory=Adaptation)
    shift: float | None = None
    pairs: int | None = None

    def inputs(self, seed: int) -> ExperimentInput:
        """The input of the methods for a seed; parts that are not there yet are trained.

        Raises:
            ConfigError: the folder of this seed was made with another size.
        """
        a, b = self.prepare(seed)
        boxed, pairs = read_manifest(a / "hospital_a"), read_manifest(b / "hospital_b")
        return ExperimentInput(
            parts=PairParts(
                detector=a / "detector",
                rois=b / "rois",
                attributes=b / "attributes",
                words=b / "words",
                pairs=pairs if self.pairs is None else first_pairs(pairs, self.pairs),
                validation=boxed.split("val"),
                training_data="phantom films",
            ),
            boxed=boxed,
            out=b / ("methods" if self.pairs is None else f"pairs_{self.pairs}"),
            seed=seed,
            device=CPU,
            classifier=self.classifier,
            adaptation=self.adaptation,
            # Classifier and detector start from the same body.
            backbone_weights=FIRST_BUNDLE / "detector.safetensors"
            if self.classifier.classifier.is_pretrained
            else None,
        )

    def test_set(self, seed: int) -> TestSet:
        """The test films of hospital B."""
        return phantom_test(self.prepare(seed)[1])

    def prepare(self, seed: int) -> tuple[Path, Path]:
        """Folders of hospital A with its detector, and of hospital B."""
        base = self.out / f"seed_{seed}"

        def learn(out: Path) -> None:
            hospital_a_stage(out, seed=seed, size=self.size)
            hospital_b_stage(out, out / "detector", seed=seed, size=self.size)

        cached(base, {"seed": seed, **asdict(self.size)}, learn)
        if self.shift is None or self.shift == self.size.shift:
            return base, base
        size = replace(self.size, shift=self.shift)
        shifted = cached(
            base / f"shift_{self.shift:.2f}",
            {"seed": seed, **asdict(size)},
            lambda out: hospital_b_stage(out, base / "detector", seed=seed, size=size),
        )
        return base, shifted


def phantom_test(folder: Path) -> TestSet:
    """The test films of hospital B in the folder of a seed."""
    return TestSet(DATASET, read_manifest(folder / "hospital_b").split("test"))


def first_pairs(pairs: Manifest, count: int) -> Manifest:
    """The manifest with its first `count` training films; other splits stay whole."""
    is_train = (pairs.images["split"] == "train").to_numpy(bool)
    return pairs.subset((~is_train | (is_train.cumsum() <= count)).tolist())
