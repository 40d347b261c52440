"""`ground_films`: reports on their films, one after another; memory does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer
from data_manifests.films.read_film import Film
from data_manifests.support.errors import DataError
from localize.bundle.bundle import Bundle
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import (
    GroundingRule,
    ScoredRegions,
    ground_report,
    ungrounded_report,
)
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding
from localize.grounding.report_sentences import report_sentences
from localize.inference.film_regions import FilmRegions
from localize.inference.model import Model

REGIONS = 100  # of a film that the words choose from
NMS_IOU = 0.9  # neighbours stay: they vote on the edges of the chosen one
CHUNK = 256  # films that wait together
NO_REPORT = GroundedSentence("", "", 0, 0, why_none="no report")


@dataclass(frozen=True)
class FilmWithReport:
    """A film and its report; `film` None: a report without a film.

    `sections` are (heading, text) pairs, none where there is no report.
    """

    study_id: str
    image_id: str
    path: str
    film: Path | Film | None
    sections: tuple[tuple[str, str], ...]
    sha256: str = ""


@dataclass(frozen=True)
class GroundedFilm:
    """A report on its film; `error` says why the film could not be read, empty if it could."""

    grounding: ReportGrounding
    error: str = ""


@dataclass(frozen=True)
class GroundOptions:
    """How reports are grounded: the language or file of their lexicon, the numbers of the rule, and
    whether an unreadable film is noted or stops the run."""

    lexicon: str = "en"
    rule: GroundingRule = field(default_factory=GroundingRule)
    skip_errors: bool = False


def ground_films(
    model: Model, films: Iterable[FilmWithReport], options: GroundOptions | None = None
) -> Iterator[GroundedFilm]:
    """Ground each report on its film, in order; films are read ahead in chunks.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false.
        ConfigError: the lexicon is unknown or wrong.
    """
    options = options or GroundOptions()
    structurer = grounding_structurer(options.lexicon)
    remaining = iter(films)
    while chunk := list(islice(remaining, CHUNK)):
        readable = [one for one in chunk if one.film is not None and one.sections]
        found = model.film_regions(
            [one.film for one in readable if one.film is not None],
            limit=REGIONS,
            nms_iou=NMS_IOU,
            checksums=[one.sha256 for one in readable],
            with_lungs=True,
        )
        for one in chunk:
            if one.film is None or not one.sections:
                yield GroundedFilm(_without(one, structurer))
                continue
            regions = next(found)
            if isinstance(regions, DataError):
                if not options.skip_errors:
                    raise regions
                rows = ungrounded_report(
                    report_sentences(one.sections, structurer), "film unreadable"
                )
                yield GroundedFilm(
                    ReportGrounding(one.study_id, one.image_id, one.path, 0, 0, rows), str(regions)
                )
                continue
            yield GroundedFilm(_grounded(one, regions, model.bundle, structurer, options.rule))


@lru_cache(maxsize=4)
def grounding_structurer(lexicon: str) -> Structurer:
    """The structurer of a lexicon, with findings that `findings.csv` leaves out."""
    return Structurer(load_lexicon(lexicon), extended=True)


def scored_regions(regions: FilmRegions, bundle: Bundle) -> ScoredRegions:
    """The regions with their calibrated scores."""
    scores = bundle.calibration.box_scores(regions.log_alpha, regions.film_sum)
    return ScoredRegions(regions.xyxy, scores)


def _grounded(
    one: FilmWithReport,
    regions: FilmRegions,
    bundle: Bundle,
    structurer: Structurer,
    rule: GroundingRule,
) -> ReportGrounding:
    width, height = regions.width, regions.height
    sentences = report_sentences(one.sections, structurer)
    anatomy = FilmAnatomy(width, height, regions.lungs)
    rows = ground_report(sentences, scored_regions(regions, bundle), anatomy, rule)
    return ReportGrounding(one.study_id, one.image_id, one.path, width, height, rows)


def _without(one: FilmWithReport, structurer: Structurer) -> ReportGrounding:
    """The rows of a film without a report, or of a report without a film."""
    rows: Sequence[GroundedSentence] = (NO_REPORT,)
    if one.sections:
        rows = ungrounded_report(report_sentences(one.sections, structurer), "no film")
    return ReportGrounding(one.study_id, one.image_id, one.path, 0, 0, tuple(rows))
