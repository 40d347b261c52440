"""Another hash seed, time zone, locale, folder and order of files change no byte of a result."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.zygote import ROOT
from tests.localize.models import write_films

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
MACHINES = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Auckland", "LC_ALL": "C.UTF-8"},
)
WITH_TIME = ("prediction.json", "run.json")


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, without the place of the folder itself, which a manifest names."""
    here = str(folder.parent.resolve()).encode()
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes().replace(here, b"here")
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in WITH_TIME
    }


def test_two_machines_make_the_same_files(tmp_path, measured):
    inputs = tmp_path / "inputs"
    paths = write_films(inputs / "films", [(96, 96)] * 12)
    lines = [f"{path.stem},p{n // 2},s{n},{path.name}" for n, path in enumerate(paths)]
    (inputs / "rows.csv").write_text("\n".join(["image_id,patient_id,study_id,path", *lines, ""]))
    texts = [f"s{n},Left basal opacity {n}. No effusion. Upper lobe nodule." for n in range(60)]
    (inputs / "reports.csv").write_text("\n".join(["study_id,text", *texts, ""]))
    found = []
    for number, machine in enumerate(MACHINES):
        work = tmp_path / f"machine{number}"
        shutil.copytree(inputs / "films", work / "films")
        if number:  # the files appear in another order
            for path in sorted((work / "films").iterdir(), reverse=True):
                content = path.read_bytes()
                path.unlink()
                path.write_bytes(content)
        for name in ("rows.csv", "reports.csv"):
            shutil.copy(inputs / name, work / name)
        commands = [
            ["manifest", "build", "csv", "rows.csv", "--films", "films", "--out", "out/films"],
            ["manifest", "split", "out/films", "--out", "out/split"],
            ["attributes", "mine", "reports.csv", "--out", "out/mined"],
            ["attributes", "vectors", "reports.csv", "--out", "out/words"],
        ]
        script = (
            "import sys, pneumoloc\n"
            f"for command in {commands!r}:\n"
            "    sys.argv = ['pneumoloc', *command]\n"
            "    try: pneumoloc.main()\n"
            "    except SystemExit as end:\n"
            "        assert not end.code, (command, end.code)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=work,
            env={**os.environ, **machine, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(checksums(work / "out"))
    assert found[0] == found[1]
    assert len(found[0]) >= 8
    measured(f"{len(found[0])} files, identical sha256")
