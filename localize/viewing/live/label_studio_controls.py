"""`project_controls`: the names that a Label Studio project has for the parts of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio_sdk.label_interface.interface import LabelInterface

from data_manifests.support.errors import ConfigError
from localize.formats.tools.label_studio import KEYWORDS, LABEL, SEVERITY

Row = dict[str, Any]  # Any: a JSON object of Label Studio
HINT = "take the configuration that `pneumoloc export --format label-studio` writes"


@dataclass(frozen=True)
class ProjectControls:
    """How to rename a prediction for a project.

    Args:
        image_name: the project's image.
        image_key: the key of a task's data that holds the image.
        names: our control names to the project's; parts without a control are left out.
        labels: our labels to the project's.
        choices: the words of the project's Choices; empty where it has a TextArea.
    """

    image_name: str
    image_key: str
    names: Mapping[str, str]
    labels: Mapping[str, str]
    choices: frozenset[str]

    def renamed(self, result: Sequence[Row]) -> list[Row]:
        """The regions of a prediction with the project's names."""
        renamed = []
        for region in result:
            name = self.names.get(region["from_name"])
            if name is None:
                continue
            value = dict(region["value"])
            if "rectanglelabels" in value:
                value["rectanglelabels"] = [
                    self.labels[label] for label in value["rectanglelabels"]
                ]
            kind = region["type"]
            if kind == "textarea" and self.choices:  # the project has the words as choices
                words = ";".join(value.pop("text")).split(";")
                value["choices"] = [word.strip() for word in words if word.strip() in self.choices]
                if not value["choices"]:
                    continue
                kind = "choices"
            named = {"type": kind, "from_name": name, "to_name": self.image_name, "value": value}
            renamed.append({**region, **named})
        return renamed


def project_controls(interface: LabelInterface, labels: Sequence[str]) -> ProjectControls:
    """Find the project's controls for boxes, keywords and severity.

    In a project with one label, all boxes get that label.

    Raises:
        ConfigError: no RectangleLabels on an Image, or labels that cannot be matched.
    """
    try:
        boxes, image, key = interface.get_first_tag_occurence("RectangleLabels", "Image")
    except ValueError as error:
        raise ConfigError(
            f"Label Studio project: expected RectangleLabels on an Image, got none; {HINT}"
        ) from error
    known = [label for item in interface.controls if item.name == boxes for label in item.labels]
    matched = {label: label if label in known else known[0] for label in labels if known}
    if not known or (len(known) > 1 and set(labels) - set(known)):
        raise ConfigError(
            f"Label Studio project: expected the labels {', '.join(labels)}, got "
            f"{', '.join(known) or 'none'}; {HINT}"
        )
    names = {LABEL: boxes}
    choices: frozenset[str] = frozenset()
    for control in interface.controls:
        is_words = control.name == KEYWORDS and control.tag in ("Choices", "TextArea")
        if is_words and image in control.to_name:
            names[KEYWORDS] = control.name
            if control.tag == "Choices":
                choices = frozenset(control.labels)
        if control.tag == "Number" and control.name == SEVERITY and image in control.to_name:
            names[SEVERITY] = control.name
    return ProjectControls(image, key, names, matched, choices)
