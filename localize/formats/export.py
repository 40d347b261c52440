"""`export`: films and boxes into any of the formats."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from data_manifests.support.errors import DataError
from localize.formats.hub.annotations import Annotations
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.png_films import has_dicom, with_png_films
from localize.formats.hub.sidecar import sidecar_path, write_sidecar
from localize.formats.registry import exported_format

LOGGER = logging.getLogger(__name__)


def export(
    annotations: Annotations,
    format_name: str,
    target: Path,
    *,
    options: FormatOptions | None = None,
    has_sidecar: bool = True,
) -> None:
    """Write films and boxes in a format, and `<target>.sidecar.csv` with all that is known of them.

    A failed export leaves nothing behind.

    Args:
        annotations: the films.
        format_name: one of `ExportFormat`.
        target: a file, or a new folder for a format of many files.
        options: choices of single formats.
        has_sidecar: whether the sidecar is written.

    Raises:
        ConfigError: no such format.
        DataError: the films or boxes cannot be written in it, or `target` is a folder
            where the format is a file.
    """
    written = exported_format(format_name)
    if not written.is_folder and target.is_dir():
        raise DataError(f"{target}: expected a file to write {format_name} into, got a folder")
    options = options or FormatOptions()
    if not written.shows_dicom and options.png_films is not None:
        annotations = with_png_films(annotations, options.png_films, options.image_root)
        options = replace(options, image_root=None)
    written.write(annotations, target, options)
    if has_sidecar:
        write_sidecar(annotations, sidecar_path(target))
    if not written.shows_dicom and has_dicom(annotations, options.image_root):
        LOGGER.warning(
            "%s: its tools do not open DICOM films; --png-films FOLDER writes PNG copies",
            format_name,
        )
