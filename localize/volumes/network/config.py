"""The settings of the grounding network and its training; every default with its reason."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from detector.config import Frozen, Positive, Precision


class VolumeNetworkConfig(Frozen):
    """What the network is; stored with the weights and needed to load them."""

    head: Literal["attention", "transformer"] = Field(
        "attention", description="the paper's source-target attention, or a head in MDETR's manner"
    )
    use_anatomy: bool = Field(True, description="the organ labels as a second channel")
    use_structure: bool = Field(
        True, description="aggregate an anomaly's own phrases; else the whole report is read"
    )
    spacing_mm: float = Field(1.0, gt=0, le=20, description="voxel edge; the paper's")
    width: int = Field(16, ge=2, le=256, description="channels of the first convolutions")
    map_stride: Literal[2, 4, 8] = Field(
        4, description="voxels across a cell of the map; 8 is the paper's plain VGG, smaller ones "
        "add the finer levels, without which a small nodule is less than a cell",
    )  # fmt: skip
    dim: int = Field(
        64, ge=4, le=1024, description="of embeddings and attention; the paper's is 768"
    )
    text_layers: int = Field(2, ge=1, le=24, description="of the text encoder; the paper's BERT 12")
    text_heads: int = Field(4, ge=1, le=16, description="of the text encoder; the paper's BERT 12")
    frozen_text_layers: int = Field(
        1, ge=0, le=24, description="lowest layers kept as pretrained; the paper's are 8 of 12"
    )

    @model_validator(mode="after")
    def _divides(self) -> VolumeNetworkConfig:
        if self.dim % self.text_heads:
            raise ValueError(f"dim to be a multiple of text_heads {self.text_heads}")
        return self


class VolumeTrainConfig(Frozen):
    """How the network is trained."""

    seed: int = Field(0, ge=0)
    epochs: int = Field(30, ge=1)
    batch_size: int = Field(4, ge=1, description="volumes a step")
    patch: Annotated[tuple[int, int, int], Field(description="voxels; multiples of 8")] = (
        96,
        96,
        96,
    )
    lr: Positive = Field(2e-3, description="of AdamW, falling to 1 % as a cosine")
    weight_decay: float = Field(1e-3, ge=0)
    clip_norm: Positive = 1.0
    text_steps: int = Field(400, ge=0, description="steps of masked words before the training")
    precision: Precision = Field(
        "auto", description="auto: bfloat16 where the device is quick with it"
    )
    checkpoint_every: int = Field(50, ge=1, description="steps")

    @model_validator(mode="after")
    def _multiples(self) -> VolumeTrainConfig:
        if any(edge < 16 or edge % 8 for edge in self.patch):
            raise ValueError("patch edges of 16 or more, multiples of 8")
        return self


class VolumeSettings(Frozen):
    """The settings of `volumes train`."""

    network: VolumeNetworkConfig = VolumeNetworkConfig()
    training: VolumeTrainConfig = VolumeTrainConfig()
