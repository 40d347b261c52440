"""The fault matrix: each row with its promise, its figure and the tests that show it.

    python -m tests.faults.matrix            # runs the tests, writes docs/reliability.md and .json
    python -m tests.faults.matrix F4 F17     # some rows; the others stay as they were

`make reliability` and `make fuzz` call it. A test may name what it measured with the fixture
`measured`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data_manifests.support.atomic import write_json, write_text

ROOT = Path(__file__).parents[2]
PAGE, RESULT = ROOT / "docs" / "reliability.md", ROOT / "docs" / "results" / "reliability.json"
DETECTOR, LOCALIZER = "faults/test_detector_training_kills.py", "faults/test_localize_training.py"
READ, DICOM = "data_manifests/films/test_read_film.py", "data_manifests/films/test_hostile_dicom.py"
CHECK, LEAKS = "data_manifests/tables/test_check.py", "data_manifests/tables/test_leaks.py"
MANIFEST, BUNDLE = "data_manifests/tables/test_manifest.py", "localize/bundle/test_bundle.py"
FOLDER = "localize/inference/test_predict_folder.py"
FORMATS = "localize/formats/test_every_format.py"
STORE, ODD = "faults/test_roi_store_kills.py", "faults/test_odd_films.py"
HOSTILE_FILES = "localize/formats/test_hostile_annotations.py"


@dataclass(frozen=True)
class Row:
    """One fault: what is done, what must happen, the figure, and its tests, as `file::name`.

    A test without `::` is a whole file.
    """

    fault: str
    promise: str
    figure: str
    tests: tuple[str, ...]


ROWS = {
    "F1": Row(
        "SIGKILL at random moments of both trainings, with 0 and 2 loader processes",
        "the resumed training ends with the same bits",
        "20 of 20 for each training",
        (f"{DETECTOR}::test_twenty_kills_at_random_moments_change_no_bit",
         f"{DETECTOR}::test_kills_with_two_loader_processes_change_no_bit",
         f"{LOCALIZER}::test_a_killed_training_resumes_to_the_same_bits",
         f"{LOCALIZER}::test_a_training_killed_again_and_again_still_ends_the_same"),
    ),
    "F2": Row(
        "SIGKILL while a checkpoint is written, fsynced or renamed",
        "the newest whole checkpoint loads; the next start removes the rest",
        "50 of 50",
        ("faults/test_checkpoint_kills.py",),
    ),
    "F3": Row(
        "SIGTERM, Ctrl-C",
        "the step is finished and saved, exit code 143 or 130; the viewer keeps what was saved",
        "no step lost",
        (f"{DETECTOR}::test_a_polite_signal_saves_tells_how_to_resume_and_loses_no_step",
         f"{LOCALIZER}::test_a_signal_ends_the_command_with_its_code_and_the_run_goes_on",
         f"{STORE}::test_a_polite_signal_ends_with_its_code_and_the_store_goes_on",
         "faults/test_left_behind.py::"
         "test_an_interrupted_viewer_ends_at_once_and_keeps_what_was_saved"),
    ),
    "F4": Row(
        "disk full (limit of file sizes, small tmpfs), at every writer and in 5 commands",
        "old file intact, nothing temporary left, one line that names the file, exit code 1",
        "every writer",
        ("faults/test_disk_full.py",
         "faults/test_scarce.py::test_a_full_disk_is_one_line_that_names_the_file",
         "faults/test_scarce.py::test_a_disk_that_fills_up_keeps_the_last_checkpoint",
         f"{BUNDLE}::test_a_full_disk_leaves_no_bundle_and_names_the_file",
         f"{FOLDER}::test_a_full_disk_names_the_table_and_the_run_goes_on_with_room"),
    ),
    "F5": Row(
        "films cut short at 10 points, PNG, JPEG and DICOM",
        "refused, never read as grey",
        "30 of 30",
        (f"{READ}::test_truncation_is_an_error_at_every_point",
         f"{READ}::test_truncated_films_stay_errors_when_pillow_was_told_otherwise"),
    ),
    "F6": Row(
        "one byte of a film changed; `make fuzz` changes many in DICOM of 9 encodings",
        "refused where the manifest has `sha256`; else read, or refused by name",
        "200 of 200 for each kind of film; 0 unhandled",
        (f"{ODD}::test_a_flipped_byte_is_refused_where_the_manifest_has_a_checksum",
         f"{FOLDER}::"
         "test_a_film_that_changed_is_refused_also_on_a_cluster_unless_it_is_not_compared",
         f"{DICOM}::test_flipped_bytes_are_read_or_refused_and_nothing_else"),
    ),
    "F7": Row(
        "bombs: PNG, DICOM header, deflated DICOM, JPEG 2000, CVAT ZIP, structured report",
        "refused before they are decoded",
        "under 50 MiB and 1 s (ZIP: 200 MiB, 5 s)",
        (f"{READ}::test_a_bomb_is_refused_before_it_is_decoded",
         f"{DICOM}::test_a_codestream_larger_than_its_header_is_not_decoded",
         f"{DICOM}::test_a_bomb_in_jpeg_2000_takes_no_memory",
         f"{HOSTILE_FILES}::test_a_bomb_in_a_cvat_zip_takes_little_memory",
         "localize/formats/dicom/test_hostile_sr.py::test_a_deflated_bomb_is_not_kept"),
    ),
    "F8": Row(
        "16-bit PNG, MONOCHROME1, signed rescale, VOI LUT of another depth, palette, colour",
        "the grey levels that a viewer shows, or a refusal",
        "golden table, 1e-6",
        (f"{READ}::test_grey_levels_are_those_a_viewer_shows",
         f"{READ}::test_a_voi_lut_of_another_depth_is_applied",
         "data_manifests/films/test_dicom_look.py"),
    ),
    "F9": Row(
        "pickles and other payloads in every file that is loaded",
        "refused, nothing runs; no unsafe call in the code",
        "0 executions",
        ("faults/test_hostile_files.py", "faults/test_unsafe_loading.py",
         f"{BUNDLE}::test_a_pickle_in_place_of_a_file_does_not_run",
         f"{LOCALIZER}::test_a_checkpoint_that_is_a_pickle_does_not_run"),
    ),
    "F10": Row(
        "weights with other names, shapes, types, NaN, a damaged header",
        "an error that names the tensor",
        "6 of 6",
        (f"{BUNDLE}::test_weights_that_are_not_numbers_are_refused_by_name",
         f"{BUNDLE}::test_a_changed_file_is_refused_by_name",
         "localize/network/test_localizer.py::test_weights_that_do_not_fit_are_refused_by_name",
         "localize/network/test_localizer.py::test_a_file_that_is_no_safetensors_is_refused",
         "detector/test_detector.py::test_other_tensors_are_refused_by_name"),
    ),
    "F11": Row(
        "bad rows in tables: NaN, flipped, no area, outside, negative, text, missing column, BOM",
        "every row with file, line, field and value, in one error",
        "every kind; a million rows in 10 s is a row of the benchmark",
        (f"{MANIFEST}::test_a_bad_table_names_file_row_and_field",
         f"{MANIFEST}::test_all_problems_are_collected_and_twenty_are_shown",
         f"{CHECK}::test_a_missing_column_is_reported_alone",
         f"{CHECK}::test_a_hundred_thousand_films_take_seconds_and_linear_time",
         "data_manifests/support/test_csv_file.py"),
    ),
    "F12": Row(
        "ids that come twice, one film under two ids",
        "refused, or reported by the same file or the same pixels",
        "all",
        (f"{CHECK}::test_one_film_under_two_ids_is_found_by_its_file",
         f"{CHECK}::test_one_film_under_two_ids_is_found_by_its_pixels",
         f"{CHECK}::test_a_film_that_only_looks_alike_is_no_duplicate",
         "localize/prediction/test_tables.py::test_a_film_that_comes_twice_is_refused"),
    ),
    "F13": Row(
        "a patient, study or film in two splits, also under two spellings",
        "found by `manifest check`; no training starts",
        "1,000 planted leaks, 0 false alarms",
        (LEAKS,
         "detector/test_train.py::"
         "test_a_patient_or_film_in_both_splits_and_missing_boxes_are_one_error",
         "localize/training/test_train.py::test_a_patient_in_both_sets_is_refused",
         "localize/training/test_train.py::test_a_film_in_both_sets_is_refused"),
    ),
    "F14": Row(
        "NaN or infinity in a film, loss, gradient or feature",
        "stops in the same step, names part and films; the last checkpoint stays",
        "the same step",
        ("detector/test_train.py::test_a_loss_that_is_not_finite_keeps_the_last_checkpoint",
         "detector/test_optimization.py::"
         "test_a_number_that_is_not_finite_stops_before_the_weights_change",
         "detector/test_optimization.py::test_a_film_that_is_not_finite_is_named",
         "localize/training/test_train.py::test_a_loss_that_is_not_finite_names_step_part_and_film",
         "localize/training/test_train.py::"
         "test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights",
         "localize/training/test_train.py::"
         "test_features_that_are_not_numbers_stop_the_training_and_name_the_film"),
    ),
    "F15": Row(
        "levels of 0 to 255 as float, other channels and types, 1 x 1, 10000 x 50",
        "refused with range or shape",
        "all",
        (f"{ODD}::test_a_picture_that_is_no_film_is_refused_with_what_was_expected",
         f"{ODD}::test_a_strip_is_refused_before_it_is_decoded"),
    ),
    "F16": Row(
        "worker killed; trainer killed; too little memory (`ulimit -v`) in 5 commands",
        "one line with what to change; no process and no half table left; training can resume",
        "no hang, 0 tracebacks",
        (f"{DETECTOR}::test_a_dead_loader_process_is_told_with_the_way_out",
         "faults/test_left_behind.py::test_loader_processes_end_with_a_killed_training",
         "faults/test_left_behind.py::test_a_killed_mining_leaves_no_table_and_no_process",
         "faults/test_scarce.py::test_too_little_memory_is_one_line",
         "data_manifests/support/test_worker_pool.py",
         "data_manifests/support/test_temporary.py"),
    ),
    "F17": Row(
        "a batch does not fit into memory, simulated on the CPU",
        "`predict` and `detector propose` halve it once and warn",
        "halved once",
        (f"{FOLDER}::test_a_batch_that_does_not_fit_is_halved_once",
         "detector/test_propose.py::test_a_batch_that_does_not_fit_is_halved_once"),
    ),
    "F18": Row(
        "two trainers, bundle commands or viewers in one folder; 8 processes on one prediction",
        "the second is refused; shares are joined",
        "no torn and no double row",
        (f"{DETECTOR}::test_a_second_trainer_in_the_folder_is_refused",
         f"{LOCALIZER}::test_a_second_trainer_in_the_same_folder_is_refused",
         "faults/test_prediction_kills.py::test_eight_workers_write_one_prediction",
         f"{STORE}::test_workers_share_one_store_from_its_first_moment",
         f"{FOLDER}::test_two_processes_do_not_write_one_prediction",
         f"{BUNDLE}::test_two_commands_do_not_write_one_bundle",
         "localize/viewing/viewer/test_server.py::"
         "test_two_viewers_of_one_annotator_keep_each_other_s_films"),
    ),
    "F19": Row(
        "SIGKILL at random moments of `predict` and `detector propose`",
        "started again, the output is that of a quiet run",
        "10 kills each, byte-identical",
        ("faults/test_prediction_kills.py::test_ten_kills_change_no_byte",
         f"{STORE}::test_ten_kills_change_no_byte"),
    ),
    "F20": Row(
        "patient data in every text element of a film, private ones too, and in a report",
        "in no output and no log; file names are ids and stay",
        "0 hits",
        ("faults/test_private_data.py",),
    ),
    "F21": Row(
        "BurnedInAnnotation YES, `NO\\YES`, or missing on secondary capture",
        "refused; or noted in tables and manifest",
        "all",
        (f"{READ}::test_a_bad_film_is_refused_with_its_reason",
         f"{READ}::test_a_missing_burned_in_flag_of_secondary_capture_is_noted",
         f"{DICOM}::test_what_is_odd_about_a_film_is_noted",
         f"{FOLDER}::test_what_is_odd_about_a_film_file_is_its_warning",
         "data_manifests/test_cli.py::"
         "test_a_header_without_a_word_on_burned_in_text_is_noted_in_the_manifest"),
    ),
    "F22": Row(
        "reports and names with markup, control characters, a megabyte in a line, other bytes",
        "escaped, in linear time, without an error",
        "hypothesis; no script in any page",
        ("attributes/test_hostile_text.py",
         "localize/viewing/gallery/test_build.py::test_hostile_ids_labels_and_errors_stay_text",
         "localize/prediction/test_drawing.py::test_hostile_text_stays_text_in_a_notebook"),
    ),
    "F23": Row(
        "boxes exported to and imported from every format",
        "the same boxes (`voc` with `--voc-floats`); damaged files imported or refused by name",
        "10,000 boxes within .01 px; 0 tracebacks",
        (f"{FORMATS}::test_ten_thousand_boxes_come_back_where_they_were",
         f"{HOSTILE_FILES}::test_a_damaged_file_is_imported_or_refused_and_nothing_else",
         f"{HOSTILE_FILES}::test_a_damaged_cvat_zip_is_imported_or_refused",
         "localize/formats/dicom/test_hostile_sr.py"),
    ),
    "F24": Row(
        "two processes against one; order and padding of a batch",
        "the same loss and gradients",
        "1e-5 float32",
        (f"{DETECTOR}::test_two_processes_take_the_step_of_one",
         f"{LOCALIZER}::test_two_processes_train_what_one_does",
         "localize/network/test_cross_attention.py::test_padding_changes_nothing",
         "localize/network/test_localizer.py::test_padding_changes_nothing"),
    ),
    "F25": Row(
        "another hash seed, time zone, locale, folder and order of files",
        "the same files",
        "identical sha256",
        ("faults/test_same_everywhere.py",
         "detector/test_train.py::test_the_same_run_twice_is_the_same_to_the_bit",
         "localize/inference/test_predict_films.py::test_predicting_twice_gives_the_same_bits"),
    ),
    "F26": Row(
        "no network",
        "every test runs with a socket that refuses other machines",
        "0 attempts",
        ("test_no_network.py",
         "localize/viewing/gallery/test_build.py::test_page_asks_for_nothing_outside_itself"),
    ),
    "F27": Row(
        "links, `../` and absolute paths in manifests, names and bundles",
        "they stay inside the folder, or are refused",
        "all",
        (f"{MANIFEST}::test_paths_never_leave_the_image_root",
         f"{CHECK}::test_films_outside_the_root_are_problems",
         "localize/inference/test_film_list.py::test_a_path_out_of_the_manifests_root_is_refused",
         f"{FORMATS}::test_hostile_names_stay_inside_the_folder_and_leave_files_well_formed",
         f"{BUNDLE}::test_a_name_that_leaves_the_folder_is_refused"),
    ),
}  # fmt: skip


@dataclass
class Outcome:
    """What the tests of a row did."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    measured: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def words(self) -> str:
        """One cell of the table."""
        parts = [f"{self.passed} of {self.passed + len(self.failed)} cases"]
        parts += [f"{self.skipped} skipped here"] if self.skipped else []
        return "; ".join([*parts, *self.measured])


class Collector:
    """A pytest plugin that notes the outcome of each test for its rows."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self.outcomes = {name: Outcome() for name in rows}
        self.rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        test = report.nodeid.removeprefix("tests/")
        for name, row in self.rows.items():
            if not any(_is_of(test, pattern) for pattern in row.tests):
                continue
            outcome = self.outcomes[name]
            outcome.seconds += report.duration
            outcome.passed += report.passed
            outcome.skipped += report.skipped
            if report.failed:
                outcome.failed.append(test)
            properties = report.user_properties
            outcome.measured += [str(text) for key, text in properties if key == "measured"]


def _is_of(test: str, pattern: str) -> bool:
    return test == pattern or test.startswith((f"{pattern}[", f"{pattern}::"))


def run_rows(names: list[str]) -> tuple[dict[str, Outcome], int]:
    """Run the tests of these rows; their outcomes, and pytest's exit code."""
    rows = {name: ROWS[name] for name in names}
    tests = sorted({f"tests/{test}" for row in rows.values() for test in row.tests})
    os.chdir(ROOT)
    collector = Collector(rows)
    code = pytest.main(["--timeout", "7200", "-p", "no:cacheprovider", *tests], [collector])
    return collector.outcomes, int(code)


def write_page(records: dict[str, dict[str, object]]) -> None:
    """Write the table between the marks of docs/reliability.md, and the JSON."""
    write_json(RESULT, {"command": "python -m tests.faults.matrix", "rows": records})
    columns = ("row", "fault", "what must happen", "figure", "measured", "tests", "date")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, row in ROWS.items():
        record = records.get(name)
        tests = ", ".join(dict.fromkeys(f"`{test.split('::')[0]}`" for test in row.tests))
        result = "not run" if record is None else f"{record['measured']}"
        if record is not None and record["changes"] != "short":
            result += f"; fuzzers with {int(record['changes']):,} changes of each file"
        if record is not None and record["failed"]:
            result = f"**failed**: {result}"
        date = "" if record is None else record["date"]
        cells = (name, row.fault, row.promise, row.figure, result, tests, date)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    page = PAGE.read_text("utf-8")
    start, end = "<!-- matrix -->\n", "<!-- end of matrix -->"
    before, rest = page.split(start)
    write_text(PAGE, before + start + "\n".join(lines) + "\n" + end + rest.split(end)[1])


def main() -> int:
    """Run the rows that are named, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], default=[], metavar="ROW")
    names = parser.parse_args().rows or list(ROWS)
    outcomes, code = run_rows(names)
    old = json.loads(RESULT.read_text("utf-8"))["rows"] if RESULT.exists() else {}
    new = {
        name: {
            "measured": outcome.words(),
            "passed": outcome.passed,
            "failed": outcome.failed,
            "skipped": outcome.skipped,
            "seconds": round(outcome.seconds, 1),
            "changes": os.environ.get("PNEUMOLOC_FUZZ", "short"),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "python": platform.python_version(),
        }
        for name, outcome in outcomes.items()
    }
    records = {name: {**old, **new}[name] for name in ROWS if name in old or name in new}
    write_page(records)
    for name in names:
        print(f"{name}: {records[name]['measured']}")
    return code


def missing_tests() -> list[str]:
    """Tests of the matrix that are not there."""
    missing = []
    for row in ROWS.values():
        for test in row.tests:
            file, _, name = test.partition("::")
            path = ROOT / "tests" / file
            text = path.read_text("utf-8") if path.is_file() else ""
            if not re.search(rf"^def {name or 'test_.*'}\(", text, re.MULTILINE):
                missing.append(test)
    return missing


if __name__ == "__main__":
    sys.exit(main())
