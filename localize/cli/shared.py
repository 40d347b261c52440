"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localize.inference import choices

NOTICE = "Research use only: not a medical device."
ManifestFolder = Annotated[Path, typer.Option("--manifest", help="Manifest folder.")]
Split = Annotated[str, typer.Option(help="Only this split: train, val, test; default all films.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Device = Annotated[choices.Device, typer.Option(help="auto: a GPU where there is one.")]
