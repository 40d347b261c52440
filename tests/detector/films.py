"""Small films with planted bright boxes, as manifests on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torchvision.models.detection import RetinaNet

from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest, write_manifest
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.network.model import build_detector

ROOT = Path(__file__).parents[2]


def tiny_config(**changes) -> DetectorConfig:
    """A detector that takes a fraction of a second for a step."""
    settings = {"backbone": "efficientnet_lite0", "image_size": 64, "fpn_width": 16, **changes}
    return DetectorConfig(**settings)


def tiny_training(**changes) -> DetectorTrainConfig:
    settings = {
        "epochs": 2,
        "batch_size": 2,
        "warmup_steps": 2,
        "checkpoint_every": 1,
        "precision": "float32",  # the same on every CPU
    }
    return DetectorTrainConfig(**{**settings, **changes})


def make_detector(**changes) -> RetinaNet:
    """A seeded detector whose scores and boxes differ: those of a fresh head are all the prior."""
    torch.manual_seed(0)
    detector = build_detector(tiny_config(**changes)).eval()
    for tower in (detector.head.classification_head.conv, detector.head.regression_head.conv):
        for module in tower.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    torch.nn.init.normal_(detector.head.classification_head.cls_logits.weight, std=0.1)
    torch.nn.init.normal_(detector.head.regression_head.bbox_reg.weight, std=0.02)
    return detector


def make_films(
    folder: Path, *, train: int = 4, val: int = 2, size: tuple[int, int] = (64, 64)
) -> Manifest:
    """A manifest of grey noise films (width, height), each with one bright box; written to disk."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    width, height = size
    images, boxes = [], []
    for number in range(train + val):
        pixels = rng.integers(0, 60, (height, width), dtype=np.uint8)
        x1, y1 = rng.integers(4, (width // 2, height // 2))
        x2, y2 = x1 + width // 3, y1 + height // 3
        pixels[y1:y2, x1:x2] += 150
        name = f"film{number}"
        Image.fromarray(pixels).save(folder / f"{name}.png")
        images.append(
            {
                "image_id": name,
                "patient_id": f"p{number}",
                "study_id": f"s{number}",
                "path": f"{name}.png",
                "width": width,
                "height": height,
                "split": "train" if number < train else "val",
                "source": "a" if number % 2 else "b",
            }
        )
        boxes.append({"image_id": name, "x1": x1, "y1": y1, "x2": x2, "y2": y2})
    manifest = make_manifest(
        pd.DataFrame(images), pd.DataFrame(boxes), info=ManifestInfo(), root=folder
    )
    write_manifest(manifest, folder)
    return manifest


def pneumoloc(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pneumoloc", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train_command(folder: Path, out: Path, *more: str) -> list[str]:
    """`pneumoloc detector train` with the tiny settings."""
    settings = {
        "detector.backbone": "efficientnet_lite0",
        "detector.image_size": "64",
        "detector.fpn_width": "16",
        "training.epochs": "2",
        "training.batch_size": "2",
        "training.warmup_steps": "2",
        "training.checkpoint_every": "1",
    }
    command = ["detector", "train", "--manifest", str(folder), "--out", str(out)]
    command += ["--device", "cpu"]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    return [*command, *more]
