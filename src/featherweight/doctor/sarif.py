"""A report as SARIF 2.1.0, the format that editors and code hosts read."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from featherweight import __version__
from featherweight.doctor.codes import CODES
from featherweight.doctor.finding import Finding, Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(report: Report) -> dict[str, Any]:
    """Return the SARIF document of a report. Findings that a comment ignores are marked as suppressed."""
    used = sorted({finding.code for finding in (*report.findings, *report.ignored)})
    rules = [{"id": code, "shortDescription": {"text": CODES[code][1]},
              "defaultConfiguration": {"level": CODES[code][0]}} for code in used]
    driver = {"name": "featherweight doctor", "version": __version__, "rules": rules}
    results = [result(finding) for finding in (*report.findings, *report.ignored)]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def result(finding: Finding) -> dict[str, Any]:
    """Return one finding. In a notebook the message names the cell, since SARIF has no cells."""
    cell = "" if finding.place.cell is None else f"Cell {finding.place.cell}: "
    text = " ".join((f"{cell}{finding.what}", finding.why, finding.how, finding.corrected)).strip()
    place = finding.place
    physical: dict[str, Any] = {"artifactLocation": {"uri": PurePath(place.file).as_posix()}}
    if place.line:
        physical["region"] = {"startLine": place.line, "startColumn": place.column}
    logical = {"logicalLocations": [{"name": place.layer, "kind": "member"}]} if place.layer else {}
    made: dict[str, Any] = {
        "ruleId": finding.code, "level": finding.severity, "message": {"text": text},
        "locations": [{"physicalLocation": physical, **logical}],
    }
    if finding.reason is not None:
        made["suppressions"] = [{"kind": "inSource", "justification": finding.reason}]
    return made
