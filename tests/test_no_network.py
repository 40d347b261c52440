from __future__ import annotations

import socket

import pytest

from tests.conftest import is_loopback


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (("127.0.0.1", 80), True),
        (("::1", 80, 0, 0), True),
        (("localhost", 80), True),
        ("/run/socket", True),
        (("192.0.2.1", 80), False),
        (("pypi.org", 443), False),
    ],
)
def test_only_this_machine_is_allowed(address, allowed):
    assert is_loopback(address) == allowed


def test_a_connection_to_another_machine_fails_the_test():
    with socket.socket() as one, pytest.raises(AssertionError, match="reached for the network"):
        one.connect(("192.0.2.1", 80))


def test_a_connection_inside_this_machine_works():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as one:
        one.connect(server.getsockname())
