"""`siim_trainings`: what each training sees, and what comes back."""

from __future__ import annotations

import pandas as pd
import pytest

from data_manifests.tables.manifest import ManifestInfo, make_manifest
from detector.roi_store import RoiStore
from experiments.core.siim_trainings import training_table
from localize.adaptation.pseudo_boxes import ANNOTATOR
from tests.localize.models import KEYWORDS, plant_store


def old_hospital():
    """20 boxed training films and one validation film."""
    names = [f"old-{k}" for k in range(21)]
    images = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": names,
            "study_id": names,
            "path": names,
            "width": 100,
            "height": 100,
            "split": ["train"] * 20 + ["val"],
            "source": "rsna",
        }
    )
    boxes = pd.DataFrame(
        {
            "image_id": names,
            "x1": [55.0 + k % 3 for k in range(21)],
            "y1": [30.0 + k for k in range(21)],
            "x2": 85.0,
            "y2": [60.0 + k for k in range(21)],
            "label": "opacity",
            "annotator": "reader",
        }
    )
    labels = pd.DataFrame({"image_id": names, "opacity": 1})
    return make_manifest(images, boxes, None, labels, info=ManifestInfo(builder="test"))


@pytest.fixture
def planted(tmp_path):
    """Six films with reports: two of three state an opacity on the left."""
    planted = plant_store(tmp_path, films=6, val=2, regions=8)
    rows = [f"study-{n:03d}" for n in range(6)]
    states = ["present" if name == "left" else "unmentioned" for name in KEYWORDS]
    (planted.attributes / "attributes.csv").write_text(
        "\n".join([",".join(["study_id", *KEYWORDS])] + [",".join([row, *states]) for row in rows])
    )
    lines = ["study_id,section,finding,assertion,attributes,sentence,start,end"]
    for n, row in enumerate(rows):
        assertion = "absent" if n % 3 == 2 else "present"
        lines.append(f"{row},findings,opacity,{assertion},left,x,0,1")
    (planted.attributes / "findings.csv").write_text("\n".join(lines))
    return planted


@pytest.mark.parametrize("source", ["sides", "own", "none", "truth"])
def test_no_training_sees_labels_or_reports_beside_its_boxes(planted, source):
    old = old_hospital()
    with RoiStore(planted.store) as store:
        table = training_table(source, old, planted.manifest, store, planted.attributes)
    assert table.labels.empty
    assert table.reports.empty
    assert (table.boxes["annotator"] == "reader").sum() >= 20
    new = table.images["image_id"].isin(set(planted.manifest.images["image_id"]))
    assert new.any() == (source != "none")
    if source in ("sides", "own"):
        chosen = table.boxes["image_id"].isin(set(planted.manifest.images["image_id"]))
        assert set(table.boxes.loc[chosen, "annotator"]) == {ANNOTATOR}


def test_validation_is_on_the_new_films_labels_but_of_more_steps_on_the_old_ones(planted):
    old = old_hospital()
    with RoiStore(planted.store) as store:
        adapted = training_table("own", old, planted.manifest, store, planted.attributes)
        steps = training_table("none", old, planted.manifest, store, planted.attributes)
    assert set(adapted.split("val").images["source"]) != {"rsna"}
    assert list(steps.split("val").images["image_id"]) == ["old-20"]
