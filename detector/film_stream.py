"""`stream_films`: films read and prepared ahead of the network, in order, few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from data_manifests.films.read_film import Film, check_sha256, read_film
from data_manifests.support.errors import DataError
from detector.prepare import prepare_film


@dataclass(frozen=True)
class StreamedFilm:
    """A film ready for the detector, or the reason why not.

    `image` is float32 (3, h, w) in the model's frame; `width` and `height` are the film's own, 0
    where it could not be read; `scale_x`, `scale_y` turn film pixels into the model's frame;
    `notes` are those of `Film`.
    """

    row: int
    image: Tensor | None
    width: int
    height: int
    scale_x: float
    scale_y: float
    error: DataError | None
    notes: tuple[str, ...] = ()


def stream_films(
    films: Sequence[Path | Film],
    rows: Sequence[int],
    *,
    image_size: int,
    threads: int,
    ahead: int,
    checksums: Sequence[str] = (),
) -> Iterator[StreamedFilm]:
    """Films `films[row]` for each of `rows`, in that order; at most `ahead` wait in memory.

    A film whose file has another SHA-256 than `checksums[row]` is an unreadable one; blank ones are
    not compared.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[StreamedFilm]] = deque()
        remaining = iter(rows)
        try:
            for row in remaining:
                declared = checksums[row] if checksums else ""
                waiting.append(pool.submit(_read, films[row], row, image_size, declared))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batches_of_one_size(
    films: Iterator[StreamedFilm], batch_size: int
) -> Iterator[list[StreamedFilm]]:
    """Blocks of `batch_size` films, cut where the shape changes; an unreadable film comes alone.

    Only films of one shape share a batch: padding would move features at the border. Blocks are not
    filled up across each other, because the last bits of a convolution depend on the size of its
    batch: a run that resumes at a block gives what the uninterrupted one gives.
    """
    while block := list(islice(films, batch_size)):
        batch: list[StreamedFilm] = []
        for film in block:
            if batch and not _fits(batch[0], film):
                yield batch
                batch = []
            batch.append(film)
        yield batch


def _fits(first: StreamedFilm, film: StreamedFilm) -> bool:
    if first.image is None or film.image is None:
        return False
    return first.image.shape == film.image.shape


def _read(source: Path | Film, row: int, image_size: int, declared: str) -> StreamedFilm:
    try:
        film = source if isinstance(source, Film) else read_film(source)
        if not isinstance(source, Film):
            check_sha256(source, declared)
    except DataError as error:
        return StreamedFilm(row, None, 0, 0, 1.0, 1.0, error)
    prepared = prepare_film(film.pixels, image_size)
    image = torch.from_numpy(prepared.pixels).expand(3, -1, -1)
    scales = prepared.scale_x, prepared.scale_y
    return StreamedFilm(row, image, film.width, film.height, *scales, None, film.notes)
