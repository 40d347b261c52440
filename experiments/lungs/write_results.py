"""`write_results`: what was measured of the lung network, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json, write_text
from detector.lungs.packaged import PACKAGED, read_description
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.box_bundle import covid_films


@dataclass(frozen=True)
class LungFiles:
    """`STEM.json` and `STEM.md` in `folder`, and the command that measures them on `data`."""

    folder: Path
    stem: str
    command: str
    seed: int
    data: Path


def write_results(files: LungFiles, measured: Mapping[str, Any], page: str) -> str:
    """Write both files; returns the page. `measured` is what JSON can hold."""
    content = {
        "command": files.command,
        "seed": files.seed,
        "weights_sha256": read_description(PACKAGED).sha256,
        "provenance": {**provenance(), "data": manifest_sha256(covid_films(files.data))},
        **measured,
    }
    write_json(files.folder / f"{files.stem}.json", content)
    write_text(files.folder / f"{files.stem}.md", page)
    return page
