"""`load_grounder`: a trained grounding network from its run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from attributes.anomalies.structure_ct import AnomalyStructurer
from data_manifests.support.errors import CheckpointError
from localize.volumes.network.config import VolumeSettings
from localize.volumes.network.grounder import VolumeGrounder, build_grounder
from localize.volumes.network.report_tokens import Vocabulary

WEIGHTS = "grounder"  # .safetensors and .json in the run folder


@dataclass(frozen=True)
class LoadedGrounder:
    """A network with what it needs to read a report and a volume."""

    network: VolumeGrounder
    settings: VolumeSettings
    vocabulary: Vocabulary
    structurer: AnomalyStructurer


def load_grounder(folder: Path, device: torch.device) -> LoadedGrounder:
    """The weights of the best epoch of a training, on a device; nothing loaded can run.

    Raises:
        CheckpointError: no such training, damaged files, or other organs than the lexicon's.
    """
    file = folder / WEIGHTS
    structurer = AnomalyStructurer()
    try:
        description = json.loads(file.with_suffix(".json").read_text("utf-8"))
        settings = VolumeSettings(network=description["network"], training=description["training"])
        vocabulary = Vocabulary(tuple(description["vocabulary"]))
        organs = tuple(description["organs"])
        network = build_grounder(settings.network, words=len(vocabulary.words), organs=len(organs))
        network.load_state_dict(load_file(file.with_suffix(".safetensors")))
    except (
        OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ValidationError,
    ) as error:  # fmt: skip
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{folder}: expected the folder of `pneumoloc volumes train`, got {reason[:200]}"
        ) from error
    if organs != structurer.lexicon.organs:
        raise CheckpointError(
            f"{folder}: expected the organs of the lexicon, got {', '.join(organs)}; train again"
        )
    network = network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload] # of its convolutions
    return LoadedGrounder(network.eval(), settings, vocabulary, structurer)
