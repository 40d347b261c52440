"""`ground_folder`: groundings of many films, written as they come."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from detector.run.provenance import provenance
from localize.grounding.tables import GroundingCounts, GroundingWriter
from localize.inference.ground_films import FilmWithReport, GroundOptions, ground_films
from localize.inference.model import Model

logger = logging.getLogger(__name__)


def ground_folder(
    model: Model,
    films: Iterable[FilmWithReport],
    out: Path,
    options: GroundOptions | None = None,
) -> GroundingCounts:
    """Ground films into a new folder; a failed or interrupted run leaves nothing.

    Raises:
        DataError: `out` is there already, a film cannot be read and `skip_errors` is false, or no
            film with a report was read.
    """
    options = options or GroundOptions()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: expected a new or empty folder, got another; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    staged = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        with GroundingWriter(staged) as writer:
            stream = ground_films(model, films, options)
            for one in progress_bar(stream, desc="ground", unit="film"):
                writer.write(one.grounding, error=one.error)
                if one.error:
                    logger.warning("skipped %s: %s", one.grounding.image_id, one.error)
        if not writer.counts.read:
            raise DataError(
                f"none of {writer.counts.films} films is readable and has a report; nothing written"
            )
        writer.finish(
            {
                "bundle_id": model.bundle_id,
                "lexicon": options.lexicon,
                "provenance": provenance(),
            }
        )
        if out.exists():
            out.rmdir()
        os.replace(staged, out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return writer.counts
