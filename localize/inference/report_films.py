"""`report_films`: the films of a manifest with their reports, streamed in the reports' order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attributes.reports import ReportReader
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import read_manifest
from localize.inference.film_list import FilmToPredict, is_manifest, manifest_films
from localize.inference.ground_films import FilmWithReport


def report_films(folder: Path, split: str = "") -> Iterator[FilmWithReport]:
    """Each film of each study with a report; then the films without one. Nothing is left out.

    A report without a film, and a film without a report, come by themselves. Reports are read one
    by one; of the films only their table is in memory. With a `split`, studies of other splits are
    left out.

    Raises:
        DataError: no manifest, no film in the split, or a bad row of the reports.
    """
    if not is_manifest(folder):
        raise DataError(
            f"{folder}: expected a manifest of films with reports, got none; name one film with "
            "--report TEXT, or build a manifest (docs/manifest.md)"
        )
    manifest = read_manifest(folder, tables=("images",))
    chosen = manifest.split(split) if split else manifest
    if not len(chosen.images):
        raise ConfigError(f"--split {split}: expected a split of {folder}, got one without films")
    all_studies = set(manifest.images["study_id"])
    by_study: dict[str, list[FilmToPredict]] = {}
    for study, film in zip(chosen.images["study_id"], manifest_films(chosen), strict=True):
        by_study.setdefault(str(study), []).append(film)
    try:
        reader = ReportReader(folder)
    except DataError:  # a manifest without reports: its films are still named
        reader = None
    for report in reader or ():
        sections = tuple(pair for pair in report.sections if pair[1].strip())
        films = by_study.get(report.study_id, [])
        if sections:
            by_study.pop(report.study_id, None)
        if not films and sections and not (split and report.study_id in all_studies):
            yield FilmWithReport(report.study_id, "", "", None, sections)
        for film in films if sections else ():
            yield _with(film, report.study_id, sections)
    if reader is not None:
        reader.raise_problems()
    for study, films in by_study.items():
        for film in films:
            yield _with(film, study, ())


def _with(film: FilmToPredict, study: str, sections: tuple[tuple[str, str], ...]) -> FilmWithReport:
    return FilmWithReport(study, film.image_id, film.path, film.file, sections, film.sha256)
