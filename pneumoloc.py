"""The `pneumoloc` command: joins the command lines of the packages.

Every package keeps its commands in its own `cli.py`; those modules import heavy libraries only
inside commands, so `pneumoloc --help` answers without torch. Errors become exit codes here.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

import attributes.cli
import data_manifests.cli
import detector.cli
import experiments.cli.app
import localize.cli.app
from data_manifests.support.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Interrupted,
    LocalizeError,
)

__version__ = "0.1.0"
FAILED, WRONG_INPUT = 1, 2

app = typer.Typer(
    help="Weakly-supervised pneumonia localization on chest X-rays: boxes, attributes, severity.",
    epilog="A research toolkit, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_manifests.cli.app, name="manifest")
app.add_typer(attributes.cli.app, name="attributes")
app.add_typer(detector.cli.app, name="detector")
localize.cli.app.register(app)
app.add_typer(experiments.cli.app.app, name="experiment")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pneumoloc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Options before the command."""


class _Terminated(BaseException):
    """SIGTERM outside a training: unwinds, so that temporary files are removed."""


def main() -> None:
    """Run the command line; every expected error is a message on stderr and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(prog_name="pneumoloc")
    except SystemExit as end:
        if end.code == 128 + signal.SIGINT:  # typer has made it of Ctrl-C
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
        _leave(f"error: out of memory ({error or 'no detail'}); try smaller batches", FAILED)
    except OSError as error:
        _leave(f"error: {error}", FAILED)
    except RuntimeError as error:
        # torch.OutOfMemoryError, told by its name: torch is only imported where it is needed.
        if type(error).__name__ != "OutOfMemoryError":
            raise
        _leave(f"error: {str(error).splitlines()[0]}; try smaller batches", FAILED)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _leave(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
