"""Pneumonia boxes, attributes and severity on chest X-rays.

    import pneumoloc

    model = pneumoloc.load()
    film = model.predict("film.dcm")
    film.boxes.xyxy, film.scores, film.attributes["left"], film.severity, film.warning

A research toolkit, not a medical device. `import pneumoloc` is quick: torch and pandas are imported
by the functions that need them. The module is also the `pneumoloc` command (`main`).
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import FrameType

    import supervision
    import typer

    from attributes import structure_report as structure_report
    from data_manifests.boxes import Boxes as Boxes
    from data_manifests.tables.manifest import Manifest
    from detector.lungs.lung_fields import LungFields as LungFields
    from localize.evaluation.report import Evaluation
    from localize.inference.choices import Device
    from localize.inference.model import Model as Model
    from localize.inference.pictures import Picture
    from localize.prediction.film_prediction import FilmPrediction as FilmPrediction
    from localize.prediction.film_prediction import SkippedFilm as SkippedFilm
    from localize.prediction.tables import Prediction as Prediction
    from localize.prediction.tables import read_prediction as read_prediction

__version__ = "0.1.0"
FAILED, WRONG_INPUT = 1, 2
MEMORY_FIX = (
    "try smaller batches (--batch-size, or --set training.batch_size=N), fewer --workers, or a "
    "machine with more memory"
)
SYSTEM_FIXES = {
    errno.ENOMEM: MEMORY_FIX,
    errno.EFBIG: "raise the limit of the size of files (`ulimit -f`), or use another disk",
    errno.EDQUOT: "free some space of your quota, or choose an output on another disk",
    errno.ENOSPC: "free some space, or choose an output on another disk",
    errno.ENOENT: "check the path",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
}
# Imported on first use: name -> module.
_LAZY = {
    "Boxes": "data_manifests.boxes",
    "FilmPrediction": "localize.prediction.film_prediction",
    "LungFields": "detector.lungs.lung_fields",
    "Model": "localize.inference.model",
    "Prediction": "localize.prediction.tables",
    "SkippedFilm": "localize.prediction.film_prediction",
    "read_prediction": "localize.prediction.tables",
    "structure_report": "attributes",
}
__all__ = [
    "Boxes",
    "FilmPrediction",
    "LungFields",
    "Model",
    "Prediction",
    "SkippedFilm",
    "evaluate",
    "load",
    "lung_fields",
    "read_prediction",
    "structure_report",
    "to_supervision",
]


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    if name not in _LAZY:
        raise AttributeError(f"module 'pneumoloc' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def load(
    folder: str | Path | None = None,
    device: Device | None = None,
    *,
    max_boxes: int = 10,
    min_score: float = 0.0,
    prevalence: float | None = None,
) -> Model:
    """Load a model, ready to predict.

    Args:
        folder: a model bundle; the weights in the package by default.
        device: `cpu`, `cuda`, or `auto`: a GPU where there is one (the default).
        max_boxes: at most so many boxes for each film.
        min_score: boxes with a lower score are left out.
        prevalence: the share of your films that show an opacity, such as 0.1, for P(pneumonia); by
            default that of the bundle.

    Raises:
        CheckpointError: the folder is no bundle, or a file in it is damaged.
        ConfigError: no such device, a number out of range, or a bundle without its own prevalence.

    Examples:
        >>> import pneumoloc
        >>> model = pneumoloc.load(device="cpu")
        >>> film = model.predict("localize/examples/c0f74558.jpg")
        >>> film.opacity
        'yes'
    """
    from detector.run.device import choose_device
    from localize.bundle.bundle import load_bundle
    from localize.bundle.packaged import PACKAGED_BUNDLE
    from localize.inference.model import Model
    from localize.inference.options import PredictOptions

    options = PredictOptions(max_boxes=max_boxes, min_score=min_score, prevalence=prevalence)
    bundle = load_bundle(PACKAGED_BUNDLE if folder is None else Path(folder))
    return Model(bundle, options, choose_device(device or "auto"))


def lung_fields(film: Picture) -> LungFields:
    """Lungs and heart of one film, as a label map with sides, zones and shares.

    The network is loaded anew by each call, in milliseconds. For many films use
    `detector.lungs.load_segmenter`.

    Args:
        film: a path, a PIL image, a numpy array or a torch tensor, as in `Model.predict`.

    Raises:
        DataError: the file cannot be read, or the picture is not a film.

    Examples:
        >>> import pneumoloc
        >>> fields = pneumoloc.lung_fields("localize/examples/c0f74558.jpg")
        >>> fields.is_complete
        True
    """
    from data_manifests.films.read_film import read_film
    from detector.lungs.packaged import load_segmenter
    from localize.inference.pictures import film_of_picture

    found = read_film(Path(film)) if isinstance(film, str | Path) else film_of_picture(film)
    return load_segmenter().fields(found.pixels)


def evaluate(
    prediction: Prediction | Iterable[FilmPrediction | SkippedFilm] | str | Path,
    manifest: Manifest | str | Path,
    *,
    baseline: Prediction | str | Path | None = None,
    seed: int = 0,
    replicates: int = 1000,
) -> Evaluation:
    """Compare predicted films with the true boxes and labels of a manifest.

    Args:
        prediction: a prediction or its folder, or the films of `Model.predict_many`.
        manifest: a manifest or its folder, of exactly the predicted films.
        baseline: another prediction of the same films; adds its values and paired differences.
        seed, replicates: of the patient bootstrap that gives the 95 % intervals.

    Raises:
        DataError: the two do not name the same films, or a file is damaged.
    """
    from data_manifests.tables.manifest import read_manifest
    from localize.evaluation.evaluate import evaluate as evaluate_tables
    from localize.prediction.film_tables import prediction_of_films
    from localize.prediction.tables import Prediction, read_prediction

    def tables(
        given: Prediction | Iterable[FilmPrediction | SkippedFilm] | str | Path,
    ) -> Prediction:
        if isinstance(given, Prediction):
            return given
        if isinstance(given, str | Path):
            return read_prediction(Path(given))
        return prediction_of_films(given)

    return evaluate_tables(
        tables(prediction),
        read_manifest(Path(manifest)) if isinstance(manifest, str | Path) else manifest,
        baseline=None if baseline is None else tables(baseline),
        seed=seed,
        replicates=replicates,
    )


def to_supervision(film: FilmPrediction) -> supervision.Detections:
    """The boxes of a film as `supervision.Detections`, for its annotators, trackers and metrics.

    `confidence` are the scores; `data` has `class_name`, `attributes` (keywords joined by `;`),
    `alpha` and `detector_score` for each box.

    Raises:
        ConfigError: the package `supervision` is not installed.
    """
    from localize.prediction.to_supervision import to_supervision as convert

    return convert(film)


def command_line() -> typer.Typer:
    """The commands of all packages; `pneumoloc --help` lists them.

    Each package keeps its commands in its own `cli`, which imports heavy libraries only inside the
    commands, so that help needs no torch.
    """
    import typer

    import attributes.cli
    import data_manifests.cli
    import detector.cli
    import experiments.cli.app
    import localize.cli.app

    app = typer.Typer(
        help="Pneumonia boxes, attributes and severity on chest X-rays.",
        epilog="A research toolkit, not a medical device.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.add_typer(data_manifests.cli.app, name="manifest")
    app.add_typer(attributes.cli.app, name="attributes")
    app.add_typer(detector.cli.app, name="detector")
    localize.cli.app.register(app)
    app.add_typer(experiments.cli.app.app, name="experiment")

    def print_version(is_given: bool) -> None:
        if is_given:
            typer.echo(f"pneumoloc {__version__}")
            raise typer.Exit

    version = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=print_version
    )

    @app.callback()
    def root(version: bool = version) -> None:
        """Options before the command."""

    return app


class _Terminated(BaseException):
    """SIGTERM outside a training: unwinds, so that temporary files are removed."""


def main() -> None:
    """Run the command line; every expected error is a message on stderr and an exit code."""
    from data_manifests.support.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        Interrupted,
        LocalizeError,
        is_out_of_memory,
    )

    # Arrow's own allocator keeps what a large table took; read when pyarrow is first imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        command_line()(prog_name="pneumoloc")
    except SystemExit as end:
        if end.code == 128 + signal.SIGINT:  # typer turns Ctrl-C into this code
            _leave("interrupted; run the same command again", 128 + signal.SIGINT)
        raise
    except _Terminated:
        _leave("terminated; run the same command again", 128 + signal.SIGTERM)
    except Interrupted as error:
        _leave(f"{error}; go on with the same command and --resume", error.exit_code)
    except (DataError, ConfigError, CheckpointError) as error:
        _leave(f"error: {error}", WRONG_INPUT)
    except (LocalizeError, FloatingPointError) as error:
        _leave(f"error: {error}", FAILED)
    except MemoryError as error:
        _leave(f"error: out of memory ({error or 'no detail'}); {MEMORY_FIX}", FAILED)
    except OSError as error:
        _leave(f"error: {_system_error(error)}", FAILED)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        # torch and OpenCV have errors of their own for this.
        _leave(f"error: {str(error).splitlines()[0][:300]}; {MEMORY_FIX}", FAILED)


def _system_error(error: OSError) -> str:
    """What the system refused, and for which file: no number of an error, no quoted path."""
    if error.strerror is None:
        return str(error)
    where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    what = error.strerror[:1].lower() + error.strerror[1:]
    return f"{where}{what}; {SYSTEM_FIXES.get(error.errno or 0, 'check the path and its rights')}"


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _leave(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
