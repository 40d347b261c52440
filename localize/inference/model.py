"""`Model`: a bundle on a device, ready to predict films. Everything that predicts uses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from data_manifests.films.read_film import CHILD_NOTE, Film
from data_manifests.support.errors import ConfigError, DataError
from detector.film_stream import StreamedFilm, batches_of_one_size, stream_films
from detector.network.core import Core, torch_core
from detector.proposals import best_rois
from detector.run.device import warn_of_slow_bfloat16
from detector.run.memory import in_halves
from localize.bundle.bundle import Bundle
from localize.bundle.film_guard import FilmLook
from localize.grounding.report_grounding import ReportGrounding
from localize.inference.answer import SEVERITY_BOXES, answer_film
from localize.inference.choices import OnError
from localize.inference.film_list import FilmToPredict, films_to_predict
from localize.inference.film_regions import FilmRegions, rank_films
from localize.inference.options import PredictOptions
from localize.inference.pictures import Picture, film_of_picture
from localize.network.config import LocalizerConfig
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm

if TYPE_CHECKING:
    from detector.lungs.segment import LungSegmenter

READ_THREADS = 2


class Model:
    """A bundle, the options of a prediction and a device.

    Its networks are moved to the device. The detector's convolutions are prepared once, here.

    Args:
        bundle: as `load_bundle` gives it.
        options: see `PredictOptions`.
        device: the CPU by default.

    Raises:
        ConfigError: `engine` is `onnx` and the extra of that name is not installed, or a
            `prevalence` is given and the bundle does not state its own.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: PredictOptions | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.bundle = bundle
        self.options = options or PredictOptions()
        _check_prevalence(bundle, self.options)
        self.device = device or torch.device("cpu")
        bundle.detector.to(self.device)
        bundle.localizer.to(self.device)
        self._core = _core(bundle, self.options, self.device)

    def __repr__(self) -> str:
        return f"Model(bundle {self.bundle_id[:12]}, {self.device}, {self.options.ranking} ranking)"

    @property
    def bundle_id(self) -> str:
        """SHA-256 that names the bundle, its weights and its calibration."""
        return self.bundle.bundle_id

    @property
    def keywords(self) -> tuple[str, ...]:
        """The attributes that the model predicts, in the order of its lexicon."""
        return self.bundle.words.keywords

    def predict(
        self, film: Picture, *, image_id: str = "", prevalence: float | None = None
    ) -> FilmPrediction:
        """Predict one film.

        Args:
            film: a path, a PIL image, a numpy array or a torch tensor; see `film_of_picture` for
                shapes, types and ranges.
            image_id: the film's id; by default the file's name without extension, or `film`.
            prevalence: the share of such films that show an opacity, for P(pneumonia); by default
                that of the model.

        Raises:
            DataError: the file cannot be read, or the picture is not a film.
            ConfigError: a prevalence that is not above 0 and below 1, or a bundle without its own.
        """
        options = replace(self.options, skip_errors=False)
        if prevalence is not None:
            options = replace(options, prevalence=prevalence)
            _check_prevalence(self.bundle, options)
        source: Path | Film
        if isinstance(film, str | Path):
            source = Path(film)
            listed = FilmToPredict(image_id or source.stem, source, source.name)
        else:
            source = film_of_picture(film)
            listed = FilmToPredict(image_id or "film", Path(), "")
        found = next(self._answers([listed], [source], options))
        if isinstance(found, SkippedFilm):
            raise DataError(found.error)
        if isinstance(source, Film):
            return replace(found, file=None, picture=source.pixels)
        return found

    def predict_many(
        self,
        films: Path | str | Iterable[Path | str],
        *,
        batch_size: int = 8,
        on_error: OnError = "raise",
    ) -> Iterator[FilmPrediction | SkippedFilm]:
        """Predict film after film; the next ones are read meanwhile.

        The results are those of `pneumoloc predict` with the same batch size. Memory does not grow
        with the number of films.

        Args:
            films: files, folders of films, or one manifest folder.
            batch_size: films that go through the networks together.
            on_error: with `skip` an unreadable film gives a `SkippedFilm`.

        Raises:
            DataError: a path does not exist, or a film cannot be read with `on_error="raise"`.
            ConfigError: another word for `on_error`.
        """
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error: expected raise or skip, got {on_error!r}")
        options = replace(self.options, batch_size=batch_size, skip_errors=on_error == "skip")
        paths = [films] if isinstance(films, str | Path) else films
        listed = films_to_predict([Path(path) for path in paths])
        return self._answers(listed, [film.file for film in listed], options)

    def predict_listed(
        self, films: Sequence[FilmToPredict]
    ) -> Iterator[FilmPrediction | SkippedFilm]:
        """Predict films with the model's own options, in order, as `predict_many` does.

        Raises:
            DataError: a film cannot be read and `skip_errors` is false.
        """
        return self._answers(films, [film.file for film in films], self.options)

    def regions(self, files: Sequence[Path], *, limit: int) -> Iterator[FilmRegions]:
        """The best `limit` regions of each film, before calibration and cut-off.

        Raises:
            DataError: a film cannot be read.
        """
        for streamed, found in self._ranked(files, limit, self.options):
            if found is None:
                raise _with_path(streamed, files)
            yield found

    def film_regions(
        self,
        films: Sequence[Path | Film],
        *,
        limit: int,
        nms_iou: float | None = None,
        checksums: Sequence[str] = (),
        with_lungs: bool = False,
    ) -> Iterator[FilmRegions | DataError]:
        """As `regions`, for files and pictures in memory; a film that cannot be read gives its
        error. `nms_iou` replaces the bundle's. Files are compared with their SHA-256 in `checksums`
        where it is not blank. `with_lungs` also segments the lungs."""
        stated = checksums if self.options.verify else ()
        for streamed, found in self._ranked(films, limit, self.options, stated, nms_iou):
            if found is None:
                yield _with_path(streamed, films)
            elif with_lungs and streamed.image is not None:
                fields = self._segmenter.fields(streamed.image[0].numpy())
                yield replace(found, lungs=fields, borders=fields.borders)
            else:
                yield found

    def ground(
        self, film: Picture, report: str, *, lexicon: str = "en", image_id: str = ""
    ) -> ReportGrounding:
        """The sentences of a report on their places in its film; see docs/grounding.md.

        Args:
            film: as for `predict`.
            report: the report, with or without headings.
            lexicon: the report's language (`en`, `es`), or a lexicon file.
            image_id: the film's id; by default the file's name without extension, or `film`.

        Raises:
            DataError: the film cannot be read, or the report has no text.
            ConfigError: the lexicon is unknown or wrong.
        """
        from localize.inference.ground_films import (
            FilmWithReport,
            GroundOptions,
            ground_films,
        )

        if not report.strip():
            raise DataError("report: expected a text, got none; use `predict` for a film alone")
        path = Path(film) if isinstance(film, str | Path) else None
        one = FilmWithReport(
            study_id="",
            image_id=image_id or (path.stem if path is not None else "film"),
            path="" if path is None else path.name,
            film=path if path is not None else film_of_picture(film),  # type: ignore[arg-type]
            sections=(("", report),),
        )
        return next(ground_films(self, [one], GroundOptions(lexicon=lexicon))).grounding

    def _answers(
        self,
        films: Sequence[FilmToPredict],
        sources: Sequence[Path | Film],
        options: PredictOptions,
    ) -> Iterator[FilmPrediction | SkippedFilm]:
        limit = max(options.max_boxes, SEVERITY_BOXES)
        checksums = [film.sha256 for film in films] if options.verify else ()
        for streamed, regions in self._ranked(sources, limit, options, checksums):
            film = films[streamed.row]
            if regions is None:
                if not options.skip_errors:
                    raise _with_path(streamed, sources)
                yield SkippedFilm(film.image_id, film.path, str(streamed.error))
                continue
            look = self._look(streamed)
            answer = answer_film(
                film.image_id, regions, self.bundle, options, is_child=look.is_child
            )
            warning = self._warning(streamed, look)
            yield replace(answer, path=film.path, file=film.file, warning=warning)

    def _ranked(
        self,
        sources: Sequence[Path | Film],
        limit: int,
        options: PredictOptions,
        checksums: Sequence[str] = (),
        nms_iou: float | None = None,
    ) -> Iterator[tuple[StreamedFilm, FilmRegions | None]]:
        """Each film with its regions, None where it cannot be read; in order, read ahead."""
        config = self.bundle.localizer_config
        if nms_iou is not None:
            config = config.model_copy(update={"nms_iou": nms_iou})
        stream = stream_films(
            sources,
            range(len(sources)),
            image_size=self.bundle.detector_config.image_size,
            threads=READ_THREADS,
            ahead=2 * options.batch_size,
            checksums=checksums,
        )
        for batch in batches_of_one_size(stream, options.batch_size):
            if batch[0].error is not None:
                yield batch[0], None
                continue
            found = in_halves(
                partial(self._rank, limit=limit, options=options, config=config), batch
            )
            yield from zip(batch, found, strict=True)

    def _look(self, film: StreamedFilm) -> FilmLook:
        """What the film guard says of the picture; a header that tells of a child counts, too."""
        guard, image = self.bundle.guard, film.image
        if guard is None or image is None:
            return FilmLook("", CHILD_NOTE in film.notes)
        look = guard.look(image[0].numpy())
        return FilmLook(look.warning, look.is_child or CHILD_NOTE in film.notes)

    def _warning(self, film: StreamedFilm, look: FilmLook) -> str:
        """What the film guard says of the picture, and the notes on its file.

        Of a picture that the guard flags the lung fields say more: no lungs, or a turned film.
        """
        lungs = ""
        if look.warning and film.image is not None:
            lungs = self._segmenter.fields(film.image[0].numpy()).reason
        return "; ".join(filter(None, (look.warning, lungs, *film.notes)))

    @cached_property
    def _segmenter(self) -> LungSegmenter:
        """The package's lung network, read when it is first needed, with scipy."""
        from detector.lungs.packaged import load_segmenter

        return load_segmenter(device=self.device)

    def _rank(
        self,
        batch: Sequence[StreamedFilm],
        *,
        limit: int,
        options: PredictOptions,
        config: LocalizerConfig,
    ) -> list[FilmRegions]:
        """The regions of readable films of one shape."""
        bundle = self.bundle
        tensors = [film.image.to(self.device) for film in batch if film.image is not None]
        return rank_films(
            bundle.localizer,
            best_rois(bundle.detector, tensors, options.proposals, self._core),
            batch,
            config,
            ranking=options.ranking,
            limit=limit,
        )


def _check_prevalence(bundle: Bundle, options: PredictOptions) -> None:
    if options.prevalence is not None:
        bundle.calibration.reference_prevalence()


def _core(bundle: Bundle, options: PredictOptions, device: torch.device) -> Core:
    """What runs the detector's convolutions."""
    if options.engine == "onnx":
        from detector.network.onnx_core import onnx_core  # an optional package

        return onnx_core(bundle.detector)
    if options.precision == "bfloat16":
        warn_of_slow_bfloat16(device)
    return torch_core(bundle.detector, options.precision)


def _with_path(film: StreamedFilm, sources: Sequence[Path | Film]) -> DataError:
    """The problems of an unreadable film, with its whole path and what to do."""
    fix = "--on-error skip (on_error='skip' in Python) leaves it out"
    problems = film.error.problems if film.error is not None else ()
    return DataError.from_problems(
        [replace(one, file=str(sources[film.row]), fix=one.fix or fix) for one in problems]
    )
