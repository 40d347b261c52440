from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_manifests.support.errors import ConfigError, DataError
from localize.formats.changes import summarise_changes
from localize.formats.hub.from_tables import annotations_from_prediction
from localize.formats.import_boxes import ImportOptions, import_boxes, of_annotator
from localize.formats.registry import read_annotations
from tests.localize.formats.films import make_annotations, make_film, make_imported
from tests.localize.predictions import make_prediction, make_truth

BOX = (10.0, 20.0, 110.0, 220.0)


def film(name="a.png", boxes=(BOX,), **known):
    return make_imported(name, boxes, size=known.pop("size", (512, 512)), **known)


def test_films_of_the_file_get_its_boxes_and_others_keep_theirs():
    manifest = make_truth(["a", "b", "c"], [("a", *BOX), ("b", 1, 1, 50, 50), ("c", *BOX)])
    corrected = import_boxes([film(boxes=[(5, 5, 9, 9)]), film("c.png", boxes=())], manifest)
    assert corrected.boxes_by_image().keys() == {"a", "b"}
    assert corrected.boxes_of("a").xyxy.tolist() == [[5, 5, 9, 9]]
    assert corrected.labels.set_index("image_id")["reviewed"].to_dict() == {"a": 1, "b": 0, "c": 1}
    only = import_boxes([film()], manifest, options=ImportOptions(only_imported=True))
    assert list(only.images["image_id"]) == ["a"]


def test_annotators_and_labels_are_written_down():
    manifest = make_truth(["a"])
    options = ImportOptions(annotator="team", label_map={"pneumonia": "opacity"})
    unnamed = import_boxes([film()], manifest, options=options).boxes.iloc[0]
    assert (unnamed["annotator"], unnamed["label"]) == ("team", "opacity")
    named = import_boxes([film(annotators=("anna",))], manifest).boxes.iloc[0]
    assert named["annotator"] == "anna"


def test_a_second_review_does_not_forget_the_first():
    manifest = make_truth(["a", "b"])
    first = import_boxes([film()], manifest)
    second = import_boxes([film("b.png")], first)
    assert second.labels["reviewed"].tolist() == [1, 1]
    assert len(second.boxes) == 2


@pytest.mark.parametrize(
    "name",
    ["ward/a.b.png", "ward/a.b", "a.b.png", "a.b", "image-1", "else/where/a.b.jpg", "ward/a_b"],
)
def test_films_are_found_by_path_id_file_name_or_stem(name):
    manifest = make_truth(["image-1", "image-2"])
    images = manifest.images.assign(path=["ward/a.b.png", "ward/c.png"])
    corrected = import_boxes([film(name, image_id="")], replace(manifest, images=images))
    assert corrected.boxes_by_image().keys() == {"image-1"}


def test_a_name_that_two_films_share_is_refused_and_all_problems_are_named():
    manifest = make_truth(["x", "y"])
    images = manifest.images.assign(path=["1/a.png", "2/a.png"])
    manifest = replace(manifest, images=images)
    films = [film("a.png", image_id=""), film("1/a.png", image_id=""), film("x", image_id="")]
    with pytest.raises(DataError) as error:
        import_boxes([*films, film("z.png", image_id="")], manifest)
    assert len(error.value.problems) == 3
    assert "'a.png'" in str(error.value)
    assert "each film once by each annotator" in str(error.value)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"boxes": [(500, 500, 513.5, 505)]}, "inside 512 x 512"),
        ({"boxes": [(-2, 0, 5, 5)]}, "inside 512 x 512"),
        ({"boxes": [(9, 0, 5, 5)]}, "x1 < x2"),
        ({"size": (256, 512)}, "512 x 512"),
    ],
    ids=["right of the film", "left of the film", "flipped", "another size"],
)
def test_boxes_that_cannot_be_are_refused_with_their_film(known, expected):
    with pytest.raises(DataError, match=expected) as error:
        import_boxes([film(**known)], make_truth(["a"]))
    assert "a.png" in str(error.value)


def test_a_corner_that_rounding_put_over_the_edge_is_set_on_it():
    corrected = import_boxes([film(boxes=[(-0.6, 0, 512.4, 512)])], make_truth(["a"]))
    assert corrected.boxes_of("a").xyxy.tolist() == [[0, 0, 512, 512]]


def test_boxes_of_a_file_without_sizes_are_on_the_manifest_s_film():
    corrected = import_boxes([film(size=None)], make_truth(["a"]))
    assert corrected.boxes_of("a").xyxy.tolist() == [list(BOX)]


def test_shares_of_a_film_become_pixels_of_the_manifest_s_film(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.375 0.75 0.25 0.5\n")
    (tmp_path / "data.yaml").write_text("names: [pneumonia]")
    manifest = make_truth(["a"])
    corrected = import_boxes(read_annotations(tmp_path, "yolo", manifest), manifest)
    assert corrected.boxes_of("a").xyxy.tolist() == [[128, 256, 256, 512]]


def test_nothing_imported_is_an_error():
    with pytest.raises(DataError, match="annotated films, got none"):
        import_boxes([], make_truth(["a"]))


def test_two_annotators_of_a_film_are_both_kept():
    films = [film(annotator="anna"), film(annotator="ben", boxes=[(5, 5, 50, 50)])]
    manifest = make_truth(["a"], [("a", 1, 1, 9, 9)])
    boxes = import_boxes(films, manifest).boxes
    assert boxes[["annotator", "x1"]].to_numpy().tolist() == [["anna", 10], ["ben", 5]]
    one = import_boxes(of_annotator(films, "ben"), manifest).boxes
    assert one[["annotator", "x1"]].to_numpy().tolist() == [["ben", 5]]
    with pytest.raises(DataError, match="'eva', got anna, ben"):
        of_annotator(films, "eva")


@pytest.mark.parametrize("names", [("anna", "anna"), ("", "anna"), ("", "")])
def test_a_film_that_comes_twice_by_the_same_annotator_is_refused(names):
    with pytest.raises(DataError, match="once by each annotator"):
        import_boxes([film(annotator=name) for name in names], make_truth(["a"]))


def test_changes_of_two_annotators_of_a_film_are_counted_apart():
    films = [film(annotator="anna"), film(annotator="ben", boxes=())]
    summary = changes([("a", *BOX, 0.9)], films)
    assert (summary.by_annotator["anna"].accepted, summary.by_annotator["ben"].deleted) == (1, 1)
    assert (summary.total.films, summary.films_not_returned) == (1, 0)
    mixed = film(boxes=[BOX, (300, 300, 400, 400)], annotators=("anna", "ben"))
    summary = changes([("a", *BOX, 0.9)], [mixed])
    assert (summary.by_annotator["anna"].accepted, summary.by_annotator["ben"].added) == (1, 1)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cvat"):
        read_annotations(tmp_path, "pdf", make_truth(["a"]))


def changes(before, after, **known):
    ids = sorted({row[0] for row in before} | {film.name[:-4] for film in after})
    prediction = make_prediction(ids, before)
    return summarise_changes(
        annotations_from_prediction(prediction), after, make_truth(ids), **known
    )


def test_each_kind_of_change_is_counted_once():
    before = [
        ("a", 10, 10, 110, 110, 0.9),  # kept, rounded by the tool
        ("a", 200, 200, 300, 300, 0.8),  # moved
        ("a", 400, 400, 500, 500, 0.7),  # deleted
        ("b", 10, 10, 110, 110, 0.6),  # relabelled
    ]
    after = [
        film(boxes=[(10.4, 10, 110, 109.2), (220, 200, 300, 300), (0, 300, 90, 400)]),
        film("b.png", boxes=[(10, 10, 110, 110)], labels=("nodule",)),
        film("c.png", boxes=()),
    ]
    summary = changes(before, after)
    total = summary.total
    assert (total.accepted, total.moved, total.deleted, total.added, total.relabelled) == ((1,) * 5)
    assert (total.films, total.films_unchanged) == (3, 1)
    assert total.accepted_share == 0.25
    assert total.mean_iou_moved == pytest.approx(0.8)
    moved = summary.table[summary.table["change"] == "moved"].iloc[0]
    assert (moved["image_id"], moved["score"], moved["iou"]) == ("a", 0.8, pytest.approx(0.8))
    assert "25.0%" in summary.to_markdown()


def test_boxes_are_paired_by_the_largest_sum_of_overlaps():
    before = [("a", 0, 0, 100, 100, 0.9), ("a", 40, 0, 140, 100, 0.8)]
    after = [film(boxes=[(38, 0, 138, 100), (-0.5, 0, 100, 100)])]
    table = changes(before, after).table.set_index("score")["change"]
    assert table.to_dict() == {0.9: "accepted", 0.8: "moved"}


def test_annotators_are_told_apart_and_their_names_escaped():
    films = [
        film("a.png", annotators=("<b>|x",)),
        film("b.png", boxes=[(0, 0, 50, 50)], annotators=("anna",)),
    ]
    summary = changes([("a", *BOX, 0.9), ("b", *BOX, 0.9), ("z", *BOX, 0.9)], films)
    assert summary.by_annotator["<b>|x"].accepted == 1
    assert (summary.by_annotator["anna"].deleted, summary.by_annotator["anna"].added) == (1, 1)
    assert summary.films_not_returned == 1
    assert "<b>" not in summary.to_markdown()


def test_changes_of_a_file_with_blank_annotators_are_the_given_one_s():
    films = [film(annotators=("",)), film("b.png")]
    summary = changes([("a", *BOX, 0.9), ("b", *BOX, 0.9)], films, annotator="team")
    assert summary.by_annotator.keys() == {"team"}


def test_nothing_predicted_has_no_accepted_share():
    assert changes([], [film(boxes=())]).total.accepted_share is None


def test_random_corrections_are_counted_as_planted():
    random = np.random.default_rng(0)
    before, films, planted = [], [], {"accepted": 0, "moved": 0, "deleted": 0, "added": 0}
    for number in range(50):
        boxes = []
        for cell in range(4):  # in cells of their own, so that none meets another
            x, y = 256 * (cell % 2) + 20, 256 * (cell // 2) + 20
            kind = random.choice(list(planted))
            planted[kind] += 1
            if kind != "added":
                before.append((f"f{number}", x, y, x + 100, y + 100, random.random()))
            if kind != "deleted":
                shift = 30 if kind == "moved" else 0
                boxes.append((x + shift, y, x + 100 + shift, y + 100))
        films.append(film(f"f{number}.png", boxes=random.permutation(boxes)))
    total = changes(before, films).total
    assert {kind: getattr(total, kind) for kind in planted} == planted


def test_a_film_that_was_not_predicted_is_refused():
    with pytest.raises(DataError, match="'b'"):
        summarise_changes(
            make_annotations(make_film("a.png", height=512)),
            [film("b.png")],
            make_truth(["a", "b"]),
        )
