"""Commands with too little memory or disk: one line that says what to change, old files intact."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
import torch

from localize.bundle.bundle import load_bundle
from tests.detector.films import make_films, train_command
from tests.faults.test_localize_training import train_command as localize_command
from tests.faults.zygote import wait_until
from tests.localize.models import film_manifest, plant_store, write_films, write_tiny_bundle

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
# Bytes that are too few for the largest file of each command.
DISKS = {
    "detector train": 300_000,
    "localize train": 20_000,
    "bundle make": 300_000,
    "detector propose": 40_000,
    "predict": 8_000,
}
TRAININGS = {"detector train": 12, "localize train": 60}  # epochs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    make_films(folder / "m")
    write_tiny_bundle(folder)
    paths = write_films(folder / "films", [(96, 96)] * 8)
    boxes = [(path.stem, 20, 20, 60, 70) for path in paths[:5]]
    film_manifest(folder / "films", paths, splits=["val"] * 8, boxes=boxes)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_store(tmp_path_factory.mktemp("planted"), films=28, val=6, regions=4)


@pytest.fixture
def arguments(inputs, planted):
    def of(command: str, out: Path) -> list[str]:
        epochs = TRAININGS.get(command, 0)
        short = ("--resume", "--set", f"training.epochs={epochs}", "--set", "training.patience=999")
        runs = ["--detector", str(inputs / "detector"), "--localizer", str(inputs / "localizer")]
        return {
            "detector train": train_command(inputs / "m", out, *short),
            "localize train": localize_command(planted, out, *short),
            "bundle make": [
                "bundle", "make", *runs, "--words", str(inputs / "words"),
                "--manifest", str(inputs / "films"), "--half", "--device", "cpu", "--out", str(out),
            ],
            "detector propose": [
                "detector", "propose", "--model", str(inputs / "bundle"),
                "--manifest", str(inputs / "films"), "--device", "cpu", "--out", str(out),
            ],
            "predict": [
                "predict", str(inputs / "films"), "--model", str(inputs / "bundle"),
                "--device", "cpu", "--out", str(out),
            ],
        }[command]  # fmt: skip

    return of


def one_error(log: Path) -> str:
    """The one line of an error; a progress bar may share the line, or be redrawn after it."""
    text = log.read_text(errors="replace")
    assert "Traceback" not in text, text[-2000:]
    lines = [line for line in text.splitlines() if "error: " in line]
    assert len(lines) == 1, text[-2000:]
    return lines[0]


def left(out: Path) -> list[str]:
    """Temporary files in and beside an output, all files of an unfinished prediction apart."""
    found = [*out.parent.iterdir(), *(out.iterdir() if out.is_dir() else ())]
    return [path.name for path in found if ".tmp" in path.name]


def begun(zygote, arguments: list[str], out: Path) -> dict[str, bytes]:
    """A training that was interrupted after its first checkpoint; its files that must stay."""
    run = zygote.start(arguments, out.parent / "log")
    wait_until(lambda: (out / "checkpoint.pt").exists() and any(out.glob("*.safetensors")))
    run.kill(signal.SIGTERM)
    assert run.wait() == 128 + signal.SIGTERM
    return kept(out)


def kept(out: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in out.iterdir()
        if path.suffix in (".pt", ".safetensors")
    }


def code_with_memory(zygote, arguments: list[str], log: Path, mib: int) -> int:
    """Exit code of a command with `mib` MiB to spare; glibc's own end of a thread is tried again.

    Where a new thread gets no memory for its local data, glibc ends the process with 127 and a line
    that says so, before any code of ours can. This depends on timing.
    """
    for _ in range(3):
        code = zygote.run(arguments, log, TEST_MEMORY_LIMIT=str(mib << 20))
        if code != 127:
            break
        assert "cannot allocate memory for thread-local data" in log.read_text(errors="replace")
    return code


@pytest.mark.parametrize("command", DISKS)
def test_too_little_memory_is_one_line(zygote, arguments, tmp_path, command):
    out, before = tmp_path / "out", {}
    if command in TRAININGS:
        before = begun(zygote, arguments(command, out), out)
    failed = 0
    for mib in (1, 8, 20, 40):
        log = tmp_path / f"log{mib}"
        code = code_with_memory(zygote, arguments(command, out), log, mib)
        if code == 0:
            break
        assert code == 1, log.read_text(errors="replace")[-2000:]
        assert "smaller batches" in one_error(log)
        assert left(out) == []
        if before:  # a training may have come further, and its files are whole
            torch.load(out / "checkpoint.pt", weights_only=True)
            assert kept(out).keys() == before.keys()
        failed += 1
    assert failed >= 2


@pytest.fixture(params=["file limit", "tmpfs"])
def small_disk(request, tmp_path):
    """Makes a folder with so many bytes free; gives the environment of its commands."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = []

    def make(size: int) -> dict[str, str]:
        if request.param == "file limit":
            return {"TEST_FILE_LIMIT": str(size)}
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a tmpfs")
        mounted.append(folder)
        return {"TMPDIR": str(folder)}

    yield make
    for one in mounted:
        subprocess.run(["umount", str(one)], check=True)


@pytest.mark.parametrize("command", DISKS)
def test_a_full_disk_is_one_line_that_names_the_file(
    zygote, arguments, small_disk, tmp_path, command
):
    environment = small_disk(DISKS[command])
    out, log = tmp_path / "small" / "out", tmp_path / "log"
    code = zygote.run(arguments(command, out), log, **environment)
    message = one_error(log)
    assert code == 1
    assert any(words in message for words in ("free some space", "disk full", "ulimit -f"))
    assert "small/" in message or "pneumoloc-bundle" in message  # the file
    assert left(out) == []
    if command == "bundle make":
        assert not out.exists()


@pytest.mark.parametrize("command", TRAININGS)
def test_a_disk_that_fills_up_keeps_the_last_checkpoint(zygote, arguments, tmp_path, command):
    out, log = tmp_path / "out", tmp_path / "log-full"
    before = begun(zygote, arguments(command, out), out)["checkpoint.pt"]
    code = zygote.run(arguments(command, out), log, TEST_FILE_LIMIT="8000")
    assert code == 1
    assert "checkpoint.pt" in one_error(log) or "safetensors" in one_error(log)
    assert (out / "checkpoint.pt").read_bytes() == before
    assert left(out) == []


def test_the_bundle_that_was_there_is_the_old_one(zygote, arguments, inputs, tmp_path):
    # A bundle is never written over: the old one stays, whatever fails.
    command = arguments("bundle make", inputs / "bundle")
    code = zygote.run(command, tmp_path / "log", TEST_FILE_LIMIT="300000")
    assert code == 2
    assert "expected no such folder yet" in one_error(tmp_path / "log")
    load_bundle(inputs / "bundle")
