"""setup.cfg finds the packages and lists their data; nothing may be forgotten."""

from __future__ import annotations

import fnmatch
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_manifests", "attributes", "detector", "localize", "experiments")


@pytest.fixture(scope="module")
def setup():
    parser = RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def package_files():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield package, path.relative_to(ROOT)


def test_every_folder_with_code_is_a_package_that_setup_cfg_finds(setup):
    assert setup["options"]["packages"] == "find:"
    patterns = setup["options.packages.find"]["include"].split()
    found = set(find_packages(str(ROOT), include=patterns))
    assert found == {
        ".".join(path.parent.parts) for _, path in package_files() if path.suffix == ".py"
    }


def test_every_data_file_is_shipped(setup):
    patterns = {
        package: [pattern.strip() for pattern in text.split(",")]
        for package, text in setup["options.package_data"].items()
    }
    for package, path in package_files():
        if path.suffix in (".py", ".pyc"):
            continue
        inside = path.relative_to(package).as_posix()
        assert any(fnmatch.fnmatch(inside, pattern) for pattern in patterns[package]), path


def test_every_package_says_that_it_is_typed():
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()


def test_the_extras_of_the_design_are_there(setup):
    extras = {name for name in setup["options.extras_require"] if not name.startswith("#")}
    assert extras >= {"dicom", "cam", "onnx", "ray", "dev"}


def test_the_version_is_told_once(setup):
    import pneumoloc

    assert setup["metadata"]["version"] == "attr: pneumoloc.__version__"
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {pneumoloc.__version__}\n" in citation


def test_citation_is_yaml_with_the_paper():
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["license"] == "Apache-2.0"
    assert citation["references"][0]["authors"][0]["family-names"] == "Bhalodia"


def test_ci_is_a_script_that_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "make test" in script.read_text("utf-8")
