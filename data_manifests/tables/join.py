"""`join_manifests`: several manifests as one, for a training on more than one source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest


def join_manifests(manifests: Sequence[Manifest]) -> Manifest:
    """All films of all manifests; the image root becomes their common folder.

    Raises:
        DataError: two of them have an image id in common, or columns that contradict each other.
    """
    root = Path(os.path.commonpath([manifest.root.resolve() for manifest in manifests]))
    images = []
    for manifest in manifests:
        prefix = manifest.root.resolve().relative_to(root).as_posix()
        table = manifest.images.copy()
        table["path"] = [f"{prefix}/{path}" if prefix != "." else path for path in table["path"]]
        images.append(table)
    return make_manifest(
        pd.concat(images, ignore_index=True),
        pd.concat([manifest.boxes for manifest in manifests], ignore_index=True),
        pd.concat([manifest.reports for manifest in manifests], ignore_index=True),
        pd.concat([manifest.labels for manifest in manifests], ignore_index=True),
        info=ManifestInfo(
            builder="join",
            image_root=str(root),
            sources={
                f"{manifest.info.builder}:{name}": checksum
                for manifest in manifests
                for name, checksum in manifest.info.sources.items()
            },
        ),
        root=root,
    )
