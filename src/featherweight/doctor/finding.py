"""Finding, Place and Report: the results of an examination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, order=True)
class Place:
    """Position of a finding. Lines and columns count from 1.

    cell: number of the notebook cell, counted from 1; None in a script. In a notebook, `line` is a line of that cell.
    line: 0 for a network without a source file; `file` is then the network's name.
    layer: name of the layer for a built network, "" for other findings and for the network as a whole.
    """

    file: str
    cell: int | None
    line: int
    column: int
    layer: str = ""

    def __str__(self) -> str:
        where = "" if self.cell is None else f"cell {self.cell}:"
        position = f":{where}{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{position}{f' {self.layer}' if self.layer else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Return the position for JSON."""
        layer = {"layer": self.layer} if self.layer else {}
        return {"file": self.file, "cell": self.cell, "line": self.line, "column": self.column, **layer}


@dataclass(frozen=True)
class Finding:
    """One mistake in the source.

    what, why, how: one sentence each; `why` uses the names and numbers of the examined code.
    corrected: the corrected line, or "" if the change needs more than one line.
    reason: text of the ignore comment that silences the finding, or None if there is no such comment.
    """

    code: str
    severity: str
    place: Place
    what: str
    why: str
    how: str
    corrected: str = ""
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return {
            "code": self.code, "severity": self.severity, **self.place.to_dict(), "what": self.what, "why": self.why,
            "how": self.how, "corrected": self.corrected,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Finding:
        """Return the finding that `to_dict` wrote."""
        place = Place(content["file"], content["cell"], content["line"], content["column"], content.get("layer", ""))
        texts = {key: content[key] for key in ("code", "severity", "what", "why", "how", "corrected")}
        return cls(place=place, reason=content.get("reason"), **texts)


@dataclass(frozen=True)
class Report:
    """All findings of an examination, with the files and properties that were checked.

    findings: sorted by file and line.
    ignored: findings that a comment silences.
    checked: one line for each examined file.
    unchecked: one line for each property or file that could not be checked, with the reason.
    levels: "read" for source that was read, "probe" for networks that ran once.
        "try" for networks that took their first training steps, "run" for records of finished trainings.
    """

    findings: tuple[Finding, ...]
    ignored: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    unread: tuple[str, ...] = field(default=())
    levels: tuple[str, ...] = ("read",)

    def count(self, severity: str) -> int:
        """Number of findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def kept(self, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
        """Return the report with the selected codes only. A prefix such as FW1 selects a family."""
        wanted = tuple(
            finding for finding in self.findings
            if (not select or finding.code.startswith(tuple(select))) and not finding.code.startswith(tuple(ignore))
        )
        return replace(self, findings=wanted)

    def __add__(self, other: Report) -> Report:
        """Return one report with the contents of both."""
        return Report(
            self.findings + other.findings, self.ignored + other.ignored, self.checked + other.checked,
            self.unchecked + other.unchecked, self.unread + other.unread,
            tuple(dict.fromkeys(self.levels + other.levels)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "ignored": [finding.to_dict() | {"reason": finding.reason} for finding in self.ignored],
            "checked": list(self.checked), "unchecked": list(self.unchecked), "unread": list(self.unread),
            "levels": list(self.levels),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Report:
        """Return the report that `to_dict` wrote."""
        findings, ignored = (tuple(map(Finding.from_dict, content[key])) for key in ("findings", "ignored"))
        return cls(findings, ignored, *(tuple(content[key]) for key in ("checked", "unchecked", "unread", "levels")))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(finding.code)}</td><td>{finding.severity}</td><td>{escape(short(finding.place))}</td>"
            f"<td style='text-align:left'>{escape(finding.what)} {escape(finding.why)}</td>"
            f"<td style='text-align:left'>{escape(finding.how)}"
            f"{f'<pre>{escape(finding.corrected)}</pre>' if finding.corrected else ''}</td></tr>"
            for finding in self.findings
        )
        notes = "".join(f"<li>{escape(line)}</li>" for line in (*self.checked, *self.unchecked, *self.unread))
        head = "<tr><th>code</th><th>severity</th><th>place</th><th>mistake</th><th>change</th></tr>"
        return f"<table>{head}{rows}</table><p>{escape(self.verdict())}</p><ul>{notes}</ul>"

    def verdict(self) -> str:
        """Counts of the findings in words: "2 errors, 1 warning, 0 notes; 1 ignored by a comment"."""
        counts = [f"{count} {name}{'' if count == 1 else 's'}" for name in SEVERITIES for count in [self.count(name)]]
        ignored = f"; {len(self.ignored)} ignored by a comment" if self.ignored else ""
        return ", ".join(counts) + ignored


def short(place: Place) -> str:
    """Return the position with the file's name instead of its path."""
    return str(replace(place, file=Path(place.file).name))
