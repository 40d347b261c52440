"""`pack_films` and `unpack_films`: films and manifest in one small folder, to send to a GPU.

Films become grey WebP, at most `SIDES` pixels wide or high, one after the other in `films.bin`;
boxes and sizes are scaled with them. `unpack_films` writes PNG files and a manifest that
`pneumoloc detector train` reads.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from data_manifests.support.arrays import Ints
from data_manifests.support.worker_pool import worker_pool
from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest, write_manifest
from experiments.data.box_films import CHILDREN, MASKED, is_unplaced

SIDES = {MASKED: 320}  # longer side by source; others are at most OTHERS
OTHERS = 512
QUALITY = 66
QUALITIES = {CHILDREN: 55}  # small and sharp: twice the bytes a pixel
UNPLACED = 500  # training films with an opacity and without a box (children with pneumonia)
BLOB = "films.bin"
TABLES = ("images", "boxes", "labels")


def films_to_pack(films: Manifest, *, seed: int = 0) -> Manifest:
    """The training and validation films of `box_films`; of training films without a box and with an
    opacity UNPLACED at most. Test films are left out."""
    chosen = films.images["split"].isin(("train", "val"))
    unplaced = films.images[is_unplaced(films) & films.images["split"].eq("train")]
    chosen[unplaced.index] = False
    chosen[unplaced.sample(min(UNPLACED, len(unplaced)), random_state=seed).index] = True
    return films.subset(chosen)


def pack_films(films: Manifest, out: Path, *, processes: int = 2) -> None:
    """Write `films` to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    sides = [SIDES.get(source, OTHERS) for source in films.images["source"]]
    qualities = [QUALITIES.get(source, QUALITY) for source in films.images["source"]]
    sizes, lengths = [], []
    with (out / BLOB).open("wb") as blob, worker_pool(processes) as pool:
        for content, size in pool.map(_encoded, films.film_paths(), sides, qualities, chunksize=32):
            lengths.append(blob.write(content))
            sizes.append(size)
    images, boxes = _rescaled(films, np.array(sizes))
    images["bytes"] = lengths
    for name, table in (("images", images), ("boxes", boxes), ("labels", films.labels)):
        table.to_parquet(out / f"{name}.parquet", index=False)


def unpack_films(pack: Path, folder: Path, *, processes: int) -> Manifest:
    """The films of a pack as PNG files under `folder`, with their manifest, which is returned."""
    tables = {name: pd.read_parquet(pack / f"{name}.parquet") for name in TABLES}
    images = tables["images"]
    (folder / "films").mkdir(parents=True, exist_ok=True)
    blob = (pack / BLOB).read_bytes()
    ends = images["bytes"].to_numpy().cumsum()
    contents = (blob[end - size : end] for end, size in zip(ends, images["bytes"], strict=True))
    paths = [folder / path for path in images["path"]]
    with worker_pool(processes) as pool:
        list(pool.map(_write_png, contents, paths, chunksize=64))
    images = images.drop(columns="bytes")
    info = ManifestInfo(builder="film-pack", image_root=str(folder.resolve()))
    manifest = make_manifest(
        images, tables["boxes"], None, tables["labels"], info=info, root=folder
    )
    write_manifest(manifest, folder / "manifest")
    return manifest


def _rescaled(films: Manifest, sizes: Ints) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of films of the new (N, 2) sizes and of their boxes."""
    images, boxes = films.images.copy(), films.boxes.copy()
    old = images[["width", "height"]].to_numpy(np.float64)
    factors = dict(zip(images["image_id"], sizes / old, strict=True))
    scale = np.array([factors[image_id] for image_id in boxes["image_id"]])
    new = dict(zip(images["image_id"], sizes, strict=True))
    edge = np.array([new[image_id] for image_id in boxes["image_id"]])
    for corner, axis in (("x1", 0), ("y1", 1), ("x2", 0), ("y2", 1)):
        scaled = boxes[corner].to_numpy(np.float64) * scale[:, axis]
        boxes[corner] = np.minimum(scaled, edge[:, axis])  # rounding can pass the edge
    images[["width", "height"]] = sizes
    images["path"] = "films/" + images["image_id"] + ".png"
    return images, boxes


def _encoded(path: Path, side: int, quality: int) -> tuple[bytes, tuple[int, int]]:
    with Image.open(path) as image:
        grey = image.convert("L")
    grey.thumbnail((side, side), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    grey.save(content, "WEBP", quality=quality, method=5)
    return content.getvalue(), grey.size


def _write_png(content: bytes, path: Path) -> None:
    with Image.open(io.BytesIO(content)) as image:
        image.convert("L").save(path, compress_level=1)
