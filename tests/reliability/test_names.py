"""Names from outside and extreme numbers reach no terminal, page or picture as they are, and end no command badly."""

from __future__ import annotations

from itertools import islice

import pytest
from battery.names import ROWS


@pytest.mark.parametrize(("trials", "count"), zip(ROWS, (14, 14, 8), strict=True))
def test_hostile_names_and_numbers(trials, count, tmp_path, warm):
    made = list(islice(trials(22, tmp_path, warm), count))
    assert len(made) == count
    assert [trial for trial in made if trial.fault] == []
