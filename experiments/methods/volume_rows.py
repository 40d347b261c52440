"""The rows of the volumes' ablation: the paper's table 1, with the comparison row."""

from __future__ import annotations

from dataclasses import dataclass

from localize.volumes.network.config import (
    VolumeNetworkConfig,
    VolumeSettings,
    VolumeTrainConfig,
)


@dataclass(frozen=True)
class VolumeRow:
    """A network of the table and its two aids."""

    method: str
    anatomy: bool
    structuring: bool

    @property
    def name(self) -> str:
        """For folders and tables."""
        aids = [
            word
            for word, on in (("anatomy", self.anatomy), ("structuring", self.structuring))
            if on
        ]
        return "-".join([self.method, *aids]) if aids else f"{self.method}-neither"


NEITHER = VolumeRow("attention", False, False)
ANATOMY = VolumeRow("attention", True, False)
STRUCTURING = VolumeRow("attention", False, True)
BOTH = VolumeRow("attention", True, True)
TRANSFORMER = VolumeRow("transformer", False, False)
ROWS = (NEITHER, BOTH, STRUCTURING, ANATOMY, TRANSFORMER)
# The phantom's volumes, 36 x 30 x 24 voxels, fit into one patch.
SPACING_MM = 10.0
PATCH = (40, 32, 24)


def row_settings(row: VolumeRow, seed: int, epochs: int) -> VolumeSettings:
    """All rows have the same encoder, epochs and rates; only the aids and the head differ."""
    return VolumeSettings(
        network=VolumeNetworkConfig(
            head="transformer" if row.method == "transformer" else "attention",
            use_anatomy=row.anatomy,
            use_structure=row.structuring,
            spacing_mm=SPACING_MM,
            width=8,
            dim=48,
            map_stride=2,
        ),
        training=VolumeTrainConfig(seed=seed, epochs=epochs, patch=PATCH, text_steps=200),
    )
