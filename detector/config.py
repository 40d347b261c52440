"""The detector's configuration: one frozen tree, every default with its reason."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from detector.network.backbones import BackboneName

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Precision = Literal["auto", "float32", "bfloat16"]


class Frozen(BaseModel):
    """Settings that cannot change after they are read, and refuse unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DetectorConfig(Frozen):
    """What the network is; stored with the weights and needed to load them."""

    backbone: BackboneName = Field("resnet50", description="the paper's; lite0 trains on a CPU")
    image_size: int = Field(512, ge=64, le=2048, description="longer side of the model's frame, px")
    fpn_width: int = Field(256, ge=8, le=512, description="RetinaNet paper; 128 suits lite0")
    anchor_sides: tuple[Positive, ...] = Field(
        (0.08, 0.14, 0.24, 0.38, 0.6),
        min_length=5,
        max_length=5,
        description="square root of the anchor area over image_size, P3 to P7: RSNA opacities span "
        "0.08 to 0.7 with a median of 0.25",
    )
    aspect_ratios: tuple[Positive, ...] = Field(
        (0.7, 1.2, 2.0),
        min_length=1,
        description="height over width: lung opacities are tall, the RSNA median is 1.45",
    )
    is_pretrained: bool = Field(
        False, description="built for ImageNet weights (frozen batch-norm statistics)"
    )


class DetectorTrainConfig(Frozen):
    """How the network is trained."""

    seed: int = Field(0, ge=0)
    epochs: int = Field(30, ge=1)
    batch_size: int = Field(8, ge=1, description="films per step over all processes")
    micro_batch: int | None = Field(
        None, ge=1, description="films per forward pass where memory is short; gradients add up"
    )
    epoch_films: int | None = Field(
        None, ge=1, description="films drawn an epoch; default: as many as the training split has"
    )
    boxed_share: Fraction | None = Field(
        None, description="share of films with boxes in an epoch; default: as they come"
    )
    source_weights: dict[str, NotNegative] = Field(
        default_factory=dict,
        description="how often films of a manifest `source` are drawn, others count 1",
    )
    lr: float = Field(1e-3, gt=0, description="AdamW, for FPN and heads")
    lr_backbone: float = Field(3e-4, gt=0, description="AdamW, for the pretrained body")
    weight_decay: float = Field(1e-4, ge=0)
    warmup_steps: int = Field(100, ge=0, description="linear; focal loss on a fresh head is steep")
    clip_norm: float = Field(5.0, gt=0)
    ema_decay: Fraction = Field(
        0.998, description="averaged weights are validated and kept: single steps are noisy"
    )
    augment: bool = Field(True, description="gamma, contrast, scale, shift; never a mirror")
    augment_strength: float = Field(
        1.0, ge=0, le=3, description="widens the ranges of the changes; 2 where films vary much"
    )
    patience: int = Field(8, ge=1, description="epochs without a better validation AP")
    checkpoint_every: int = Field(100, ge=1, description="steps; each epoch's end saves too")
    workers: int = Field(0, ge=0, description="loader processes")
    films_on_device: bool = Field(
        False, description="all films decoded once and held on the device: for a GPU of one's own"
    )
    film_loss: NotNegative = Field(
        0.0,
        description="weight of a loss that asks for some box on films whose label `opacity` is 1 "
        "and that have no boxes (0: they count as negatives); needs films_on_device",
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="the rate follows the clock and training ends after so many minutes, reading "
        "and validation included; such a run does not repeat and is not resumed",
    )
    precision: Precision = Field(
        "auto", description="auto: bf16 on a GPU and on a CPU with instructions for it"
    )


class DetectorSettings(Frozen):
    """What a configuration file of `pneumoloc detector train` holds."""

    detector: DetectorConfig = DetectorConfig()
    training: DetectorTrainConfig = DetectorTrainConfig()
