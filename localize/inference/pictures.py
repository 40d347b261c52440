"""`film_of_picture`: a picture in memory as a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_manifests.films.read_film import Film, check_size, grey_film
from data_manifests.support.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Picture: TypeAlias = "Path | str | Image.Image | NDArray[Any] | Tensor"
NAME = Path("picture")  # stands for a file in messages


def film_of_picture(picture: Image.Image | NDArray[Any] | Tensor) -> Film:
    """Grey levels in [0, 1] of a picture in memory, bone bright and air dark.

    A picture has no photometric tag: one with dark bone (DICOM MONOCHROME1) must be inverted by the
    caller. It is taken upright.

    Args:
        picture: a PIL image; or an array or tensor of shape (H, W), (H, W, 1), (H, W, 3), (1, H, W)
            or (3, H, W). bool and uint8 levels are divided by 255, uint16 levels by 65535, as in
            files; floating-point levels must lie in [0, 1]. Colours are turned into grey as PIL
            does.

    Raises:
        DataError: another shape or type, a level out of range, a side under 16 pixels, a strip
            (sides in a ratio above 10), or more than 64 million pixels.
    """
    if isinstance(picture, Image.Image):
        check_size(NAME, *picture.size)
        return grey_film(NAME, picture)
    if type(picture).__module__.partition(".")[0] == "torch":
        picture = picture.detach().cpu().numpy()  # type: ignore[union-attr]  # a tensor
    levels = np.asarray(picture)
    if levels.ndim == 3 and levels.shape[0] in (1, 3) and levels.shape[2] not in (1, 3):
        levels = levels.transpose(1, 2, 0)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    if levels.ndim != 2 and (levels.ndim != 3 or levels.shape[2] != 3):
        raise _error("shape", "(H, W), (H, W, 3) or (3, H, W)", str(levels.shape))
    check_size(NAME, levels.shape[1], levels.shape[0])
    if levels.dtype == np.bool_:
        levels = levels.astype(np.uint8) * 255
    if levels.dtype == np.uint8:
        return grey_film(NAME, Image.fromarray(np.ascontiguousarray(levels)))
    if levels.dtype == np.uint16:
        scaled = levels.astype(np.float32) / np.float32(65535)
    elif np.issubdtype(levels.dtype, np.floating):
        scaled = levels.astype(np.float32)
        if not ((scaled >= 0) & (scaled <= 1)).all():  # NaN is outside, too
            low, high = float(scaled.min()), float(scaled.max())
            raise _error(
                "levels", "0 to 1 in floating point", f"{low:g} to {high:g}; scale the picture"
            )
    else:
        raise _error("dtype", "uint8, uint16 or floating point", str(levels.dtype))
    if scaled.ndim == 3:  # the weights of PIL's convert("L"), ITU-R BT.601
        scaled = scaled @ np.array([0.299, 0.587, 0.114], np.float32)
    return Film(scaled)


def _error(field: str, expected: str, got: str) -> DataError:
    return DataError(f"picture, {field}: expected {expected}, got {got}")
