"""For the whole suite: no network, one torch thread, and the real data where there is some."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no defect, and CI must not fail on a Tuesday only.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

ROOT = Path(__file__).parents[1]


def is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """A test that talks to another machine fails."""
    real = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}

    def guarded(name):
        def call(self, *arguments):
            if not is_loopback(arguments[-1]):
                raise AssertionError(f"a test reached for the network: {arguments[-1]}")
            return real[name](self, *arguments)

        return call

    for name in real:
        monkeypatch.setattr(socket.socket, name, guarded(name))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """More threads change the last bits, and cost time on films of 64 pixels."""
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture
def real_data() -> Path:
    """The folder of real films; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("PNEUMOLOC_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip("no folder of real data (set PNEUMOLOC_DATA)")
    return folder


@pytest.fixture
def measured(record_property):
    """Records what a test measured, for the table of `make reliability`."""
    return lambda text: record_property("measured", text)
