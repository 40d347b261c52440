"""The lung network's configuration, every default with its reason."""

from __future__ import annotations

from pydantic import Field

from detector.config import Fraction, Frozen, NotNegative, Precision


class LungNetworkConfig(Frozen):
    """What the network is; stored with the weights and needed to load them."""

    image_size: int = Field(
        160, ge=32, le=512, multiple_of=32, description="films are squares of this side, px"
    )
    widths: tuple[int, ...] = Field(
        (16, 32, 64, 96, 128), min_length=2, max_length=5, description="channels of each level"
    )


class LungTrainConfig(Frozen):
    """How the network is trained; the defaults take 15 minutes on one CPU core."""

    seed: int = Field(0, ge=0)
    steps: int = Field(2400, ge=1)
    batch_size: int = Field(16, ge=1)
    group_weights: dict[str, NotNegative] = Field(
        default_factory=dict,
        description="how often films of each source are drawn, the others count 1 each",
    )
    lr: float = Field(2e-3, gt=0, description="AdamW")
    weight_decay: float = Field(1e-3, ge=0)
    warmup_steps: int = Field(50, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    ema_decay: Fraction = Field(0.99, description="averaged weights are validated and kept")
    other_pictures: Fraction = Field(
        0.12, description="share of turned films and pictures without a chest: no lungs there"
    )
    white_out: Fraction = Field(
        0.2, description="share of films with one lung painted white, whole or from below"
    )
    precision: Precision = Field(
        "auto", description="bfloat16 where it is fast: half of the time of float32"
    )
    validate_every: int = Field(100, ge=1, description="steps; a checkpoint is saved, too")
