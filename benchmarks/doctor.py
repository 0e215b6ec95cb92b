"""Precision and recall of `featherweight doctor` on public corpora, by code, with Wilson intervals.

The corpora are clones of public repositories in one folder; a missing one is left out:

    git clone https://github.com/ssamsonau/scicode-lint
    git clone https://github.com/pytorch/examples
    git clone https://github.com/aws-samples/amazon-codeguru-python-detectors
    git clone https://github.com/OrderLab/TrainCheck-Evaluation-Workloads

Command: python benchmarks/doctor.py FOLDER [--show]
"""

from __future__ import annotations

import argparse
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featherweight.doctor import Finding, Report, examine
from featherweight.doctor.examination import examine_source
from featherweight.doctor.source import from_text
from featherweight.errors import SourceError
from featherweight.statistics import wilson_interval

PATTERNS = {        # pattern of scicode-lint -> codes that claim it
    "pt-001": ("FW310",), "pt-004": ("FW301", "FW302"), "pt-005": ("FW209",), "pt-006": ("FW207",),
    "pt-007": ("FW308",), "pt-008": ("FW302", "FW303"), "pt-009": ("FW311",), "pt-012": ("FW312",),
    "pt-020": ("FW201", "FW202"),
}
RULES = {           # rule of CodeGuru -> codes that claim it
    "pytorch-redundant-softmax": ("FW201",), "pytorch-miss-call-to-zero-grad": ("FW301",),
    "pytorch-avoid-softmax-with-nllloss-rule": ("FW203",), "pytorch-sigmoid-before-bceloss": ("FW205",),
}
TWINS = {           # folder of TrainCheck -> (wrong, right, codes that claim it)
    "stackoverflow-60335387": ("bug.py", "fixed.py", ("FW301",)),
}
SCENARIO = re.compile(r"^    file: (\S+)\n    expected_patterns:\n((?:      pt-\d+: \d+\n|      \S+: \d+\n)*)", re.M)
FACT = re.compile(r"# \{fact rule=([\w-]+)@[^}]*defects=(\d)\}\n(.*?)# \{/fact\}", re.S)


@dataclass
class Count:
    """Files of one pattern: found and missed wrong ones, and right ones with or without a false alarm."""

    found: int = 0
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    right: int = 0

    def add(self, wrong: bool, reported: bool, name: str) -> None:
        """Count one file."""
        if wrong:
            self.found += reported
            self.missed += [] if reported else [name]
        else:
            self.right += 1
            self.false += [name] if reported else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="name the missed files and the false alarms")
    options = parser.parse_args()
    counts: dict[str, Count] = defaultdict(Count)
    for corpus, cases in (
        ("scicode-lint", scicode(options.folder)), ("scenarios", scenarios(options.folder)), ("CodeGuru",
                                                                                              codeguru(options.folder)),
        ("TrainCheck", traincheck(options.folder)),
    ):
        for pattern, codes, wrong, name, findings in cases:
            reported = any(finding.code in codes for finding in findings)
            counts[f"{corpus} {pattern} {'/'.join(codes)}"].add(wrong, reported, name)
    show(counts, options.show)
    errors_in_examples(options.folder / "examples")


def scicode(folder: Path) -> Iterator[tuple[str, tuple[str, ...], bool, str, tuple[Finding, ...]]]:
    """Yield (pattern, codes, wrong, name, findings) for the files of scicode-lint."""
    for file in sorted(folder.glob("scicode-lint/src/scicode_lint/patterns/ai-*/pt-*/test_*tive/*.py")):
        pattern = file.parts[-3][:6]
        if pattern in PATTERNS:
            yield pattern, PATTERNS[pattern], file.parent.name == "test_positive", file.stem, examined(file).findings


def scenarios(folder: Path) -> Iterator[tuple[str, tuple[str, ...], bool, str, tuple[Finding, ...]]]:
    """Yield the same for the 50 scenarios of scicode-lint, once for each pattern. Each holds several mistakes."""
    base = folder / "scicode-lint/evals/integration/generated/baseline_v1"
    for file, patterns in SCENARIO.findall((base / "expected.yaml").read_text()) if base.is_dir() else ():
        findings = examined(base / file).findings
        for pattern, codes in PATTERNS.items():
            yield pattern, codes, f"{pattern}:" in patterns, Path(file).stem, findings


def codeguru(folder: Path) -> Iterator[tuple[str, tuple[str, ...], bool, str, tuple[Finding, ...]]]:
    """Yield the same for the compliant and noncompliant examples of CodeGuru."""
    for file in sorted(folder.glob("amazon-codeguru-python-detectors/src/python/detectors/pytorch*/*.py")):
        for rule, defects, text in FACT.findall(file.read_text()):
            if rule in RULES:
                try:
                    found, _ = examine_source(from_text(file, text))
                except SourceError:
                    continue
                yield rule, RULES[rule], defects == "1", f"{rule} {defects}", tuple(found)


def traincheck(folder: Path) -> Iterator[tuple[str, tuple[str, ...], bool, str, tuple[Finding, ...]]]:
    """Yield the same for the pairs of TrainCheck whose cause stands in the source."""
    for name, (wrong, right, codes) in TWINS.items():
        base = next(iter(folder.glob(f"TrainCheck-Evaluation-Workloads/*/bug-reprod-scripts/{name}")), None)
        for file in (wrong, right) if base is not None else ():
            assert base is not None
            yield name, codes, file == wrong, f"{name}/{file}", examined(base / file).findings


def examined(file: Path) -> Report:
    """Return the report of a file; a file that cannot be read has no findings."""
    try:
        return examine([file])
    except SourceError as fault:
        return Report((), unread=(str(fault),))


def show(counts: dict[str, Count], names: bool) -> None:
    """Print a line for each pattern and a line for all."""
    print(f"{'corpus, pattern, codes':58} {'precision':>20} {'recall':>20}")
    total = Count()
    for name, count in counts.items():
        print_line(name, count)
        total.found, total.right = total.found + count.found, total.right + count.right
        total.missed += count.missed
        total.false += count.false
        if names:
            for kind, files in (("missed", count.missed), ("false", count.false)):
                for file in files:
                    print(f"    {kind}: {file}")
    print_line("all", total)


def print_line(name: str, count: Count) -> None:
    """Print precision and recall with their 95 % intervals."""
    alarms, wrong = count.found + len(count.false), count.found + len(count.missed)
    print(f"{name:58} {interval(count.found, alarms):>20} {interval(count.found, wrong):>20}")


def interval(part: int, whole: int) -> str:
    """Return "9/10 60-98 %"."""
    if not whole:
        return "-"
    low, high = wilson_interval(part, whole)
    return f"{part}/{whole} {100 * low:.0f}-{100 * high:.0f} %"


def errors_in_examples(folder: Path) -> None:
    """Print every finding of severity error in pytorch/examples, for a person to judge, and the slowest file."""
    slowest, files = (0.0, ""), sorted(folder.rglob("*.py"))
    errors = []
    for file in files:
        start = time.perf_counter()
        errors += [finding for finding in examined(file).findings if finding.severity == "error"]
        slowest = max(slowest, (time.perf_counter() - start, str(file)))
    print(f"\npytorch/examples: {len(files)} files, {len(errors)} findings of severity error, slowest "
          f"{slowest[0]:.2f} s")
    for finding in errors:
        print(f"  {finding.place} {finding.code} {finding.what}")


if __name__ == "__main__":
    main()
