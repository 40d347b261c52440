"""Radiology reports as findings, attributes, training targets and word vectors.

>>> from attributes import structure_report
>>> [finding.assertion for finding in structure_report("Patchy left opacity. No effusion.")]
['present', 'absent']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attributes.report_findings import Attribute, ReportFinding, structure_report

__all__ = ["Attribute", "ReportFinding", "structure_report"]


def __getattr__(name: str) -> object:
    """The public names, imported on first use."""
    if name in __all__:
        from attributes import report_findings

        return getattr(report_findings, name)
    raise AttributeError(f"module `attributes` has no attribute `{name}`")
