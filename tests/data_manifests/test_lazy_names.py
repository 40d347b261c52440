"""The names that packages offer: all there, and none of them loads a library before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import data_manifests
import detector

HEAVY = ("numpy", "pandas", "torch", "torchvision", "pydicom", "sklearn", "cv2")


@pytest.mark.parametrize("package", [data_manifests, detector])
def test_every_public_name_is_found_in_its_module(package):
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_packages_are_imported_without_heavy_libraries():
    code = f"import sys, data_manifests, detector; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
