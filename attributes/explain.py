"""`explain_text`, `explain_html`: a traced report for a terminal and as a self-contained page."""

from __future__ import annotations

from collections.abc import Sequence

from attributes.lexicon.tokens import CONTROL_AS_BLANK
from attributes.structure import Finding
from attributes.trace import MARKS, SentenceTrace
from data_manifests.support.report_sections import ReportPart

ANSI = {
    "present": "1;31",
    "absent": "1;32",
    "uncertain": "1;33",
    "resolved": "1;36",
    "attribute": "34",
    "rule": "35",
    "other": "2",
    "break": "4",
}
# The page loads nothing and runs nothing; reports are untrusted, jinja2 escapes them.
PAGE = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
body { font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
color: #1c2430; } h1 { font-size: 1.3rem; } h2 { font-size: .9rem; text-transform: uppercase;
color: #667; margin:
1.6rem 0 .3rem; } p.sentence { margin: .6rem 0 .2rem; }
mark { background: none; color: inherit; padding: .05rem .2rem; border-radius: .25rem; }
.present { background: #ffd9d6; font-weight: 600; } .absent { background: #d9f0dc; font-weight:
600; } .uncertain { background: #fdeec2; font-weight: 600; } .resolved { background: #d4eef5;
font-weight:
600; } .attribute { border-bottom: 2px solid #3b6fd4; } .rule { border-bottom: 2px dashed #9b3fb5; }
.other { color: #778; border-bottom: 1px dotted #99a; } .break { border-left: 2px solid #99a;
border-right: 2px solid #99a; } ul { margin: .1rem 0 .8rem 1.2rem; padding: 0; font-size: .92rem;
color: #334; } .legend mark { margin-right: .6rem; font-size: .85rem; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="legend">{% for mark in marks %}<mark class="{{ mark }}">{{ mark }}</mark>{% endfor %}</p>
{% for group in groups %}
<h2>{{ group.name or "report" }}</h2>
{% for trace in group.traces %}
<p class="sentence"><bdi>{% for part in trace.stretches -%}
{% if part.mark -%}
<mark class="{{ part.mark }}" title="{{ part.note }}">{{ part.text }}</mark>
{%- else %}{{ part.text }}{% endif %}
{%- endfor %}</bdi></p>
{% if trace.findings %}<ul>{% for line in lines(trace.findings) %}<li>{{ line }}</li>{% endfor
%}</ul>{% endif %} {% endfor %}
{% endfor %}
{% if skipped %}<h2>not read</h2><ul>{% for part in skipped %}<li>{{ part.name or "report" }}: {{
part.text }}</li>{% endfor %}</ul>{% endif %}
</body>
</html>
"""


def finding_line(finding: Finding) -> str:
    """A finding in one line: type, assertion, attributes, rule."""
    attributes = f" [{', '.join(finding.attributes)}]" if finding.attributes else ""
    rule = f"  (rule {finding.rule})" if finding.rule else ""
    return f"{finding.finding}: {finding.assertion}{attributes}{rule}"


def explain_text(
    traces: Sequence[SentenceTrace], skipped: Sequence[ReportPart] = (), *, colour: bool
) -> str:
    """The report for a terminal: sentences with marks, findings below, skipped parts last.

    Without `colour`, findings stand as <name|assertion>, attributes as _word_, rules as {words}.
    """
    lines: list[str] = []
    if colour:
        lines.append(" ".join(f"\x1b[{ANSI[mark]}m{mark}\x1b[0m" for mark in MARKS))
    section = None
    for trace in traces:
        if trace.section != section:
            section = trace.section
            lines += ["", (section or "report").upper()]
        pieces = (_piece(part.text, part.mark, colour=colour) for part in trace.stretches)
        lines.append("".join(pieces))
        lines += [f"    {finding_line(finding)}" for finding in trace.findings]
    if skipped:
        lines += ["", "NOT READ"]
    for part in skipped:
        text = " ".join(part.text.translate(CONTROL_AS_BLANK).split())
        lines.append(f"    {part.name or 'report'}: {text}")
    return "\n".join(lines)


def explain_html(
    traces: Sequence[SentenceTrace],
    skipped: Sequence[ReportPart] = (),
    *,
    title: str,
    language: str,
) -> str:
    """The report as a self-contained, script-free HTML page."""
    from jinja2 import Environment

    groups: list[dict[str, object]] = []
    collected: list[SentenceTrace] = []
    for trace in traces:
        if not groups or groups[-1]["name"] != trace.section:
            collected = []
            groups.append({"name": trace.section, "traces": collected})
        collected.append(trace)
    template = Environment(autoescape=True).from_string(PAGE)
    return template.render(
        title=title,
        language=language,
        marks=MARKS,
        groups=groups,
        skipped=skipped,
        lines=lambda findings: [finding_line(finding) for finding in findings],
    )


def _piece(text: str, mark: str, *, colour: bool) -> str:
    if not mark:
        return text
    if colour:
        return f"\x1b[{ANSI[mark]}m{text}\x1b[0m"
    if mark == "attribute":
        return f"_{text}_"
    if mark == "rule":
        return f"{{{text}}}"
    if mark in ("other", "break"):
        return text
    return f"<{text}|{mark}>"
