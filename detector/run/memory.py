"""`in_halves`: a batch that does not fit into memory is tried once more in two halves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from data_manifests.support.errors import is_out_of_memory

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_halves(
    compute: Callable[[Sequence[Item]], list[Result]], batch: Sequence[Item]
) -> list[Result]:
    """`compute(batch)`; where memory is out, the results of its first and its second half.

    The last bits of a convolution can depend on the size of its batch.

    Raises:
        MemoryError, RuntimeError: one item or half of the batch does not fit, either.
    """
    try:
        return compute(batch)
    except (MemoryError, RuntimeError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
        logger.warning(
            "%d films at a time do not fit into memory; going on with half of them. "
            "--batch-size %d avoids this",
            len(batch),
            len(batch) // 2,
        )
    # Outside of `except`, whose traceback would keep the tensors of the first try.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(batch) // 2
    return [*compute(batch[:middle]), *compute(batch[middle:])]
