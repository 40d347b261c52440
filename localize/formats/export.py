"""`export`: films and boxes into any of the formats."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.png_films import is_dicom_film, with_png_films
from localize.formats.hub.sidecar import SidecarWriter, sidecar_path
from localize.formats.registry import exported_format

LOGGER = logging.getLogger(__name__)


def export(
    annotations: Annotations,
    format_name: str,
    target: Path,
    *,
    options: FormatOptions | None = None,
    has_sidecar: bool = True,
) -> int:
    """Write films and boxes in a format, and `<target>.sidecar.csv` with all that is known of them.

    Returns the number of boxes. A failed export leaves nothing behind. The films are walked
    through, not held: memory grows only by some bytes a film, for its name.

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
    with _sidecar(annotations, target) if has_sidecar else nullcontext() as sidecar:
        first = _FirstPass(annotations, sidecar)
        if not written.shows_dicom:
            first.look_for_dicom(options.image_root)
        written.write(replace(annotations, films=first.films), target, options)
        first.finish()
    if first.has_dicom:
        LOGGER.warning(
            "%s: its tools do not open DICOM films; --png-films FOLDER writes PNG copies",
            format_name,
        )
    return first.boxes


@contextmanager
def _sidecar(annotations: Annotations, target: Path) -> Iterator[SidecarWriter]:
    with (
        atomic_path(sidecar_path(target)) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as handle,
    ):
        yield SidecarWriter(handle, annotations.model)


class _FirstPass:
    """Writes the sidecar while the writer of the format walks through the films the first time.

    Each pass over a million films takes a good part of a minute.
    """

    def __init__(self, annotations: Annotations, sidecar: SidecarWriter | None) -> None:
        self.boxes = 0
        self.has_dicom = False
        self._annotations, self._sidecar = annotations, sidecar
        self._looks_for_dicom = False
        self._image_root: Path | None = None
        self._pass: Iterator[FilmAnnotation] | None = None

    def look_for_dicom(self, image_root: Path | None) -> None:
        """Also look whether a film is a DICOM file."""
        self._looks_for_dicom, self._image_root = True, image_root

    def films(self) -> Iterator[FilmAnnotation]:
        """A pass over the films; the first one counts."""
        if self._pass is None:
            self._pass = self._films()
            return self._pass
        return iter(self._annotations)

    def finish(self) -> None:
        """Take the films that the writer did not."""
        for _ in self.films() if self._pass is None else self._pass:
            pass

    def _films(self) -> Iterator[FilmAnnotation]:
        for film in self._annotations:
            if self._sidecar is not None:
                self._sidecar.write(film)
            self.boxes += len(film)
            if self._looks_for_dicom and not self.has_dicom:
                self.has_dicom = is_dicom_film(film, self._image_root)
            yield film
