"""The localizer's configuration: what the paper fixes, what it leaves open, and our defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from attributes.targets.policies import DEFAULT_POLICY
from detector.config import Fraction, Frozen

SoftmaxAxis = Literal["scan", "paper"]
AlphaKind = Literal["free", "anchored"]
Pooling = Literal["features", "probabilities"]
RankBy = Literal["alpha", "alpha_score"]
Negatives = Literal["printed", "lowest", "batch"]
Selection = Literal["loss", "boxes"]


# Settings that came later, with the value that stands for files without them.
ADDED_SETTINGS = {"film_evidence": False}


class LocalizerConfig(Frozen):
    """What the network is; stored with the weights and needed to load them."""

    geometry_width: int = Field(32, ge=1, description="width of LN(Wg g)")
    score_width: int = Field(32, ge=1, description="width of LN(Ws s)")
    score_input: Literal["logit", "probability"] = Field(
        "logit",
        description="s as printed is a probability; most are near 0, the logit spreads them",
    )
    hidden: int = Field(128, ge=1, description="width of the two small MLPs")
    dropout: Fraction = Field(0.2, description="on the fused features, in training only")
    alpha: AlphaKind = Field(
        "anchored",
        description="free: softmax of an MLP, as printed; anchored: the MLP starts at zero and is "
        "added to the detector's logit, so that training starts from the detector's ranking",
    )
    sharpness: float = Field(
        3.0,
        gt=0,
        description="anchored: alpha starts as softmax(sharpness * logit s); at 1 a hundred weak "
        "regions outweigh the best one and v is a blur",
    )
    pooling: Pooling = Field(
        "probabilities",
        description="features: the head reads v = sum alpha phi, as printed; probabilities: it "
        "reads each region, and the film gets the alpha-weighted mean: each region has attributes "
        "of its own, and alpha is rewarded for the region that fits the words",
    )
    film_evidence: bool = Field(
        True,
        description="the film's attributes are averaged with a regression of its regions' scores "
        "and extents, fitted before training; a box always has those of its own region",
    )
    lambda_a: float = Field(9.0, gt=0, description="SCAN's inverse temperature, text to image")
    lambda_b: float = Field(4.0, gt=0, description="SCAN's inverse temperature, image to text")
    softmax_axis: SoftmaxAxis = Field(
        "scan",
        description="scan: the weights of one word sum to 1 over regions (and of one region over "
        "words); paper: the axes as printed",
    )
    rank_by: RankBy = Field("alpha", description="what orders the boxes: alpha, or alpha times s")
    nms_iou: Fraction = Field(
        0.3,
        description="overlap above which the lower box goes; RSNA boxes of one lung rarely touch",
    )

    @classmethod
    def stored(cls, content: object) -> LocalizerConfig:
        """The configuration in a file, also in one from before the `ADDED_SETTINGS`.

        Raises:
            ValidationError: no such configuration.
        """
        known = {**ADDED_SETTINGS, **content} if isinstance(content, dict) else content
        return cls.model_validate(known)


class LocalizeTrainConfig(Frozen):
    """How the network is trained."""

    seed: int = Field(0, ge=0)
    epochs: int = Field(40, ge=1, description="the paper stopped at 185, with 11,308 pairs")
    batch_size: int = Field(64, ge=2, description="SCAN uses 128")
    lr: float = Field(1e-3, gt=0, description="Adam; SCAN uses 2e-4 with 100 times the data")
    weight_decay: float = Field(1e-3, ge=0)
    clip_norm: float = Field(2.0, gt=0, description="SCAN")
    margin: float = Field(0.8, gt=0, description="the paper's beta, on cosines")
    bce_weight: float = Field(1.0, ge=0, description="0 is the paper's 'w/o classification'")
    triplet_weight: float = Field(1.0, ge=0)
    detector_weight: float = Field(
        1.0,
        ge=0,
        description="times KL(detector's distribution || alpha): without it a few hundred pairs "
        "make alpha forget the detector within ten epochs (docs/method.md, ablation)",
    )
    balance: bool = Field(False, description="weight rare attributes up in the BCE")
    negatives: Negatives = Field(
        "lowest",
        description="lowest: the film's lowest-ranking regions and each word's negative that the "
        "report does not name; printed: the same with the nearest word of all, named or not; "
        "batch: other films and reports of the batch, as SCAN",
    )
    target_policy: str = Field(
        DEFAULT_POLICY, description="states to targets: attributes.targets.policies"
    )
    include_normal: bool = Field(
        True, description="also train the attribute head on films whose report has no finding"
    )
    selection: Selection = Field(
        "loss",
        description="the epoch that is stored: lowest validation loss, or best boxes (needs some)",
    )
    patience: int = Field(10, ge=1, description="the paper: < 0.1 % change in 10 epochs")
    min_change: float = Field(1e-3, ge=0, description="relative; the paper's 0.1 %")
    checkpoint_every: int = Field(200, ge=1, description="steps; each epoch's end saves too")
