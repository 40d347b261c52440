"""`lung_maps`: films to probability maps of the right lung, the left lung and the heart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from data_manifests.support.arrays import Floats32
from detector.lungs.masked_films import square

FLAT = 1e-3  # standard deviation below which a picture has no contrast to speak of
FARTHEST = 3.0  # standard deviations: bright marks count no more than this


def normalised(film: Floats32) -> Floats32:
    """Grey levels with mean 0 and standard deviation 1, cut at FARTHEST."""
    scaled = (film - film.mean()) / max(float(film.std()), FLAT)
    cut: Floats32 = scaled.clip(-FARTHEST, FARTHEST).astype(np.float32)
    return cut


@torch.inference_mode()
def lung_maps(
    network: nn.Module, films: Sequence[Floats32], image_size: int, device: torch.device
) -> Floats32:
    """Probabilities (B, 3, S, S) for B films (H, W) in [0, 1], each squeezed into a square."""
    network.eval()
    squares = np.array([normalised(square(film, image_size)) for film in films])[:, None]
    maps: Floats32 = network(torch.from_numpy(squares).to(device)).sigmoid().float().cpu().numpy()
    return maps
