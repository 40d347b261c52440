"""The `pneumoloc` command: joins the command lines of the packages.

Every package keeps its commands in its own `cli.py`; those modules import heavy libraries only inside
commands, so `pneumoloc --help` answers without torch.
"""

from __future__ import annotations

__version__ = "0.1.0"
