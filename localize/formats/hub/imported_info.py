"""Where a corrected manifest says that it comes from."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from data_manifests.support.atomic import file_sha256
from data_manifests.tables.manifest import Manifest


def imported_info(manifest: Manifest, source: Path, format_name: str, folder: Path) -> Manifest:
    """The manifest with the import in its `info`, and an image root that is right from `folder`.

    Args:
        manifest: with the imported boxes.
        source: the annotators' file or folder.
        format_name: its format.
        folder: where the manifest will be written.
    """
    info = manifest.info
    root = info.image_root
    if not Path(root).is_absolute():
        root = Path(os.path.relpath(manifest.root.resolve(), folder.resolve())).as_posix()
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    checksums = {
        path.name if path == source else path.relative_to(source).as_posix(): file_sha256(path)
        for path in files
    }
    return replace(
        manifest,
        info=replace(
            info,
            image_root=root,
            options={**info.options, "boxes_imported_as": format_name},
            sources={**info.sources, **checksums},
        ),
    )
