"""`LungSegmenter`: a film to its `LungFields`."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy import ndimage
from torch import nn

from data_manifests.boxes import Boxes
from data_manifests.support.arrays import Bools, Floats32
from detector.lungs.config import LungNetworkConfig
from detector.lungs.lung_fields import HEART, LEFT_LUNG, PARTS, RIGHT_LUNG, LungFields
from detector.lungs.maps import lung_maps

LUNGS = (RIGHT_LUNG, LEFT_LUNG)
# A lung is found if it has this share of the film and this mean probability. Set by hand.
MIN_LUNG, MIN_LUNG_SCORE = 0.015, 0.75
MIN_HEART, MIN_HEART_SCORE = 0.015, 0.70
NO_LUNGS = "no lungs found"
# Quarters to the left (np.rot90) that bring lungs upright, and what the film is.
TURNS = {1: "on its side, turned right", 2: "upside down", 3: "on its side, turned left"}


class LungSegmenter:
    """A trained network on a device."""

    def __init__(self, network: nn.Module, config: LungNetworkConfig, device: torch.device) -> None:
        self.network = network.to(device).eval()
        self.config = config
        self.device = device

    def fields(self, pixels: Floats32) -> LungFields:
        """The lung fields of a film (H, W) in [0, 1], bone bright.

        Where no lung is found the film is looked at turned, too, and `reason` says so if there are
        lungs then.
        """
        size = self.config.image_size
        found = fields_of_maps(
            lung_maps(self.network, [pixels], size, self.device)[0], *pixels.shape[::-1]
        )
        if found.is_found:
            return found
        turned = [np.ascontiguousarray(np.rot90(pixels, turn)) for turn in TURNS]
        maps = lung_maps(self.network, turned, size, self.device)
        seen = [
            (sum(filter(None, (upright.right_score, upright.left_score))), kind)
            for upright, kind in (
                (fields_of_maps(one, *film.shape[::-1]), kind)
                for one, film, kind in zip(maps, turned, TURNS.values(), strict=True)
            )
            if upright.is_complete
        ]
        if not seen:
            return found
        reason = f"{NO_LUNGS}: the film seems to be {max(seen)[1]}"
        return LungFields(found.labels, None, None, found.heart_score, found.heart, reason)


def fields_of_maps(maps: Floats32, width: int, height: int) -> LungFields:
    """The lung fields of a film from its probability maps (3, S, S).

    Each part is the largest connected piece of the pixels that are more likely inside than not,
    without holes. Two lungs that lie the wrong way round are not believed.
    """
    parts, scores, why = {}, dict.fromkeys(PARTS), []
    for part in LUNGS:
        others = maps[[other - 1 for other in LUNGS if other != part]].max(axis=0)
        piece = _largest_piece((maps[part - 1] > 0.5) & (maps[part - 1] >= others))
        share, score = float(piece.mean()), _score(maps[part - 1], piece)
        if share >= MIN_LUNG and score >= MIN_LUNG_SCORE:
            parts[part], scores[part] = piece, score
        else:
            why.append(f"no {PARTS[part]} found")
    if len(parts) == len(LUNGS) and _centre(parts[RIGHT_LUNG]) >= _centre(parts[LEFT_LUNG]):
        parts, why = {}, [f"{NO_LUNGS}: right and left lie the wrong way round"]
        scores = dict.fromkeys(PARTS)
    elif not parts:
        why = [NO_LUNGS]
    heart = _largest_piece(maps[HEART - 1] > 0.5)
    score = _score(maps[HEART - 1], heart)
    labels = np.zeros((height, width), np.uint8)
    box = None
    if parts and heart.mean() >= MIN_HEART and score >= MIN_HEART_SCORE:
        full = _full_size(maps[HEART - 1], heart, width, height) > 0.5
        labels[full] = HEART
        scores[HEART], box = score, _box(full)
    painted = {p: _full_size(maps[p - 1], piece, width, height) for p, piece in parts.items()}
    for part, inside in painted.items():
        rest = [other for name, other in painted.items() if name != part]
        labels[(inside > 0.5) & np.all([inside >= other for other in rest], axis=0)] = part
    return LungFields(
        labels, scores[RIGHT_LUNG], scores[LEFT_LUNG], scores[HEART], box, "; ".join(why)
    )


def _largest_piece(mask: Bools) -> Bools:
    """The largest connected piece of a mask, its holes filled."""
    pieces, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest: Bools = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    filled: Bools = ndimage.binary_fill_holes(largest)
    return filled


def _score(probability: Floats32, piece: Bools) -> float:
    return float(probability[piece].mean()) if piece.any() else 0.0


def _centre(piece: Bools) -> float:
    """Mean column."""
    return float(np.nonzero(piece)[1].mean())


def _full_size(probability: Floats32, piece: Bools, width: int, height: int) -> Floats32:
    """Probabilities of one piece at the film's size; 0 beyond it, at least one half in its holes.

    The border is cut between pixels, so that it stays smooth on a large film.
    """
    near = ndimage.binary_dilation(piece)
    inside = np.where(piece, np.maximum(probability, 0.501), np.minimum(probability, 0.499))
    kept = np.where(near, inside, 0).astype(np.float32)
    full = cv2.resize(kept, (width, height), interpolation=cv2.INTER_LINEAR)
    return full.astype(np.float32)


def _box(mask: Bools) -> Boxes:
    """The box around a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return Boxes(np.array([corners], np.float64), mask.shape[1], mask.shape[0])
