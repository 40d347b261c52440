from __future__ import annotations

import pytest

from tests.faults.zygote import Zygote


@pytest.fixture(scope="session")
def zygote():
    with Zygote() as parent:
        yield parent
