"""The root command: quick help, and an exit code with a message for every kind of error."""

from __future__ import annotations

import copy
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pneumoloc
from data_manifests.support.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Interrupted,
    Problem,
    TrainingStopped,
)
from data_manifests.tables.manifest import write_manifest
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import write_prediction
from tests.localize.predictions import random_pair

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "numpy", "pandas", "scipy", "cv2", "spacy", "gensim", "sklearn")
GROUPS = ("manifest", "attributes", "detector", "experiment", "severity", "localize", "bundle")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pneumoloc", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_takes_less_than_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor: the wall clock of a busy machine says nothing.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("arguments", [["--help"], *([group, "--help"] for group in GROUPS)])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import json, sys, pneumoloc\n"
        f"sys.argv = ['pneumoloc', *{arguments!r}]\n"
        "try: pneumoloc.main()\n"
        "except SystemExit as end: code = end.code\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


def test_importing_the_module_is_light():
    code = (
        "import json, sys, time\n"
        "start = time.process_time()\n"
        "import pneumoloc\n"
        "seconds = time.process_time() - start\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([seconds, heavy, sorted(set(pneumoloc.__all__) - set(dir(pneumoloc)))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seconds, heavy, missing = json.loads(done.stdout)
    assert seconds < 0.3
    assert (heavy, missing) == ([], [])


def test_every_public_name_can_be_used():
    for name in pneumoloc.__all__:
        assert getattr(pneumoloc, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'predictor'"):
        pneumoloc.predictor  # noqa: B018 - the access is the test


def test_a_wrong_path_is_reported_before_torch_is_imported(tmp_path):
    code = (
        "import sys, pneumoloc\n"
        f"sys.argv = ['pneumoloc', 'predict', {str(tmp_path / 'none.png')!r}, '--out', 'x']\n"
        "try: pneumoloc.main()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 False\n"
    assert "expected a film or a folder, got no such path" in done.stderr


def test_predictions_are_evaluated_as_tables_films_and_folders(tmp_path):
    prediction, truth = random_pair(0)
    write_prediction(prediction, tmp_path / "prediction")
    write_manifest(truth, tmp_path / "manifest")
    films = films_of_prediction(prediction)
    of_tables = pneumoloc.evaluate(prediction, truth, replicates=20)
    of_films = pneumoloc.evaluate(films, truth, replicates=20)
    of_folders = pneumoloc.evaluate(
        str(tmp_path / "prediction"), tmp_path / "manifest", replicates=20
    )
    assert of_tables.value("iou_at_0.5") > 0
    assert of_films.to_json() == of_tables.to_json() == of_folders.to_json()
    paired = pneumoloc.evaluate(prediction, truth, baseline=prediction, replicates=20)
    assert paired.row("iou_at_0.5").difference.value == 0


def test_short_help_is_help():
    assert run("-h").stdout == run("--help").stdout
    assert run("bundle", "info", "-h").returncode == 0


def test_help_names_every_command_of_the_design():
    message = run("--help").stdout
    commands = ("predict", "export", "import-boxes", "gallery", "evaluate", "quickstart", *GROUPS)
    for command in commands:
        assert command in message


def test_version_is_the_packages():
    assert run("--version").stdout == f"pneumoloc {pneumoloc.__version__}\n"


def test_bad_usage_is_exit_code_2():
    assert run("detector", "train").returncode == 2
    assert run("no-such-command").returncode == 2
    assert run("detector", "propose", "--count", "many").returncode == 2


def test_wrong_data_is_one_paragraph_on_stderr(tmp_path):
    done = run(
        *("detector", "train", "--manifest", str(tmp_path / "none"), "--out", str(tmp_path / "o")),
        *("--device", "cpu"),
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            DataError.from_problems([Problem("a.csv", "b", "c", row=3)]),
            2,
            "a.csv row 3: expected",
        ),
        (ConfigError("training.x: unknown"), 2, "training.x: unknown"),
        (CheckpointError("bundle: damaged"), 2, "bundle: damaged"),
        (TrainingStopped("a loader process died"), 1, "a loader process died"),
        (FloatingPointError("step 3: loss not finite"), 1, "step 3: loss not finite"),
        (Interrupted(signal.SIGTERM), 143, "--resume"),
        (Interrupted(signal.SIGINT), 130, "--resume"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory"),
        (OutOfMemoryError("CUDA out of memory. Tried\nmore"), 1, "CUDA out of memory. Tried; try"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate"),
            1,
            "DefaultCPUAllocator: can't allocate; try smaller",
        ),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.json"), 1, "x.json: no space left"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/root/x"),
            1,
            "/root/x: permission denied",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_expected_error_has_its_code_and_its_words(monkeypatch, capsys, error, code, message):
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(pneumoloc, "command_line", lambda: app)
    monkeypatch.setattr(sys, "argv", ["pneumoloc"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as end:
        pneumoloc.main()
    assert end.value.code == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Errno" not in shown.err
    assert shown.out == ""


def test_a_programming_mistake_keeps_its_traceback(monkeypatch):
    def fail(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(pneumoloc, "command_line", lambda: fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(RuntimeError, match="a bug"):
        pneumoloc.main()


def test_sigterm_unwinds_so_that_temporary_files_go(tmp_path):
    code = (
        "import sys, time, pneumoloc\n"
        "from pathlib import Path\n"
        "from data_manifests.support.atomic import atomic_path\n"
        "def slow(**_):\n"
        "    with atomic_path(Path(sys.argv[1]) / 'table.csv') as temporary:\n"
        "        temporary.write_text('half')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "pneumoloc.command_line = lambda: slow\n"
        "pneumoloc.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, message = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "terminated" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("a: expected b"),
        DataError.from_problems([Problem(file="f", expected="x", got="y", fix="z")]),
        Interrupted(signal.SIGTERM),
    ],
)
def test_errors_come_back_whole_from_another_process(error):
    back = copy.copy(error)  # by the same road as pickle
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_a_prediction_imports_nothing_that_it_does_not_need(tmp_path):
    unneeded = (
        "sklearn", "scipy", "matplotlib", "pandas.plotting._matplotlib", "torch._dynamo",
        "torch._decomp", "sympy", "triton", "pydicom", "onnx", "onnxruntime", "ray", "spacy",
        "gensim", "jinja2", "yaml", "torch.utils.tensorboard", "supervision", "experiments.tables",
    )  # fmt: skip
    film = ROOT / "localize" / "examples" / "c0f74558.jpg"
    code = (
        "import json, sys, pneumoloc\n"
        f"sys.argv = ['pneumoloc', 'predict', {str(film)!r}, '--out', {str(tmp_path / 'out')!r}]\n"
        "pneumoloc.main()"
    )
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (tmp_path / "out" / "boxes.csv").is_file()
    imported = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    assert {"torch", "torchvision"} <= set(imported)  # it was measured
    assert [name for name in imported if name in unneeded] == []
    assert len(imported) < 2400  # 2,058; torch alone has 1,300, torch._dynamo brings 900 more
