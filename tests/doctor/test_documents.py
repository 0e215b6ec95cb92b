"""All mistakes of the course documents are found in rebuilt code. Corrected code has no error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from featherweight.doctor import examine

FOLDER = Path(__file__).parent / "documents"
FILES = sorted(FOLDER.glob("*.py"))
EXPECTED = re.compile(r"expect ((?:FW\d+ ?)+)")
CORRECTIONS = {
    "model_000.py": [
        ("    transforms.RandomRotation((-15.0, 15.0), fill=0),  # expect FW401\n", ""),
        ("256*20 = 12800 + 50 = 12850, expect FW122", "4096*50 + 50 = 204850"),
        ("F.relu(self.conv1(x), 2)", "F.relu(self.conv1(x))"),
    ],
    "model_001.py": [
        ("F.relu(self.conv7(x))", "self.conv7(x)"), ("F.log_softmax(x)", "F.log_softmax(x, dim=1)"),
        ("RF-10x10, expect FW121", "RF-6x6"), ("RF-12x12", "RF-10x10"), ("RF-14x14", "RF-14x14"),
        ("RF-28x28", "RF-16x16"), ("RF-30x30", "RF-24x24"), ("RF-32x32", "RF-32x32"), ("RF-34x34", "RF-40x40"),
    ],
    "model_002.py": [
        ("            nn.BatchNorm2d(10),  # expect FW103\n", ""), ("            nn.ReLU(),  # expect FW101\n", ""),
        ("            nn.Dropout(rate),  # expect FW102\n", ""),
        ("optimizer, epoch)  # expect FW208", "optimizer, F.nll_loss)\n    scheduler.step(validation_loss)"),
    ],
    "model_003.py": [
        ("RF = 14x14, expect FW121", "RF = 8x8"), ("RF = 16x16", "RF = 12x12"),
        ("image = image / 255.0  # expect FW403",
         "image = ((255 - image) / 255.0 - 0.1307) / 0.3081\n    model.eval()"),
    ],
    "model_004.py": [
        ("return F.nll_loss(digit, label), criterion", 'return F.nll_loss(digit, label, reduction="sum"), criterion'),
        ("    if accuracy > best:  # expect FW501\n        best = accuracy\n", "    print(accuracy)\n"),
    ],
}


def test_eleven_mistakes_of_five_documents():
    expected = {code for file in FILES for code in re.findall(r"FW\d+", " ".join(EXPECTED.findall(file.read_text())))}
    assert len(FILES) == 5
    assert expected >= {     # the rows of the table of facts, and the best test epoch
        "FW101", "FW102", "FW104", "FW106", "FW121", "FW122", "FW208", "FW304", "FW308", "FW401", "FW403", "FW404",
        "FW501", "FW504",
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_mistake_is_found_on_its_line_and_nothing_else(file):
    expected = sorted((line, code) for line, text in enumerate(file.read_text().split("\n"), 1)
                      for found in EXPECTED.findall(text) for code in found.split())
    assert sorted((finding.place.line, finding.code) for finding in examine([file]).findings) == expected


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_corrected_code_has_no_error_and_none_of_the_mistakes(file, tmp_path):
    text = file.read_text()
    for wrong, right in CORRECTIONS[file.name]:
        assert wrong in text, wrong
        text = text.replace(wrong, right)
    (tmp_path / file.name).write_text(text)
    codes = {code for found in EXPECTED.findall(file.read_text()) for code in found.split()}
    report = examine([tmp_path / file.name])
    assert [finding for finding in report.findings if finding.severity == "error" or finding.code in codes] == []
