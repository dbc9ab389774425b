from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from observation_tables import HEADER, ROWS, from_wide, refusal


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "scores.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


BAD_FILES = {
    "truncated": (
        HEADER + ROWS + "b-2,b,4,1,.6",
        ["scores.csv: expected 6 fields in every row", "5 in line 5", "is the file truncated?"],
    ),
    "short row": (
        HEADER + "a-1,a,1,1\n" + ROWS[16:],
        ["got 4 in line 2", "correct those lines"],
    ),
    "long rows": (
        HEADER + "a-1,a,1,1,.3,.2,.1\n" * 5,
        ["got 7 in line 2, 7 in line 3, 7 in line 4 (and in 2 more lines)", "correct those lines"],
    ),
    "truncated in quotes": (HEADER + '"a-1,a,1,1,.3,.2\n', ["scores.csv, line 2", "truncated"]),
    "empty": ("", ["scores.csv: expected a header", "got an empty file"]),
    "header only": (HEADER, ["scores.csv: expected at least one model"]),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff", ["scores.csv: expected comma-separated UTF-8 text"]),
    "archive": (b"PK\x03\x04\x00\x00,\x00\n", ["scores.csv", "expected"]),
    "semicolons": (
        HEADER.replace(",", ";"),
        ["scores.csv, line 1", "separated by commas, got the single column 'model;family"],
    ),
    "columns twice": ("model,model\na,b\n", ["scores.csv, line 1", "got 'model' more than once"]),
    "percentage": (
        HEADER + "\n" + ROWS.replace(".5,.4", "57,.4"),
        ["scores.csv, line 5 (model 'b-1'), column 'mmlu'", "got 57"],
    ),
    "empty family": (
        HEADER + ROWS.replace(",b,", ",,"),
        ["scores.csv, line 4 (model 'b-1'), column 'family'", "must not be empty"],
    ),
}


@pytest.mark.parametrize(("content", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file(content: str | bytes, said: list[str], write: Any) -> None:
    path = write(content)
    message = refusal(lambda: from_wide(path))
    for part in said:
        assert part in message


def test_missing_file_says_where_it_was_sought(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("SCALEBAYES_DATA", raising=False)
    message = refusal(lambda: from_wide("nowhere.csv"))
    assert "found none at 'nowhere.csv'" in message
    assert "set SCALEBAYES_DATA" in message
    assert "name a CSV file inside that folder" in refusal(lambda: from_wide(tmp_path))
