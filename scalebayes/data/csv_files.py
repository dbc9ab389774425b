"""Reading CSV files strictly: a row with too few or too many fields is an error with its line."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pandas as pd
import platformdirs

from scalebayes.data.schema import quoted
from scalebayes.data.validation import ObservationsError, plural

DATA_FOLDER = "SCALEBAYES_DATA"


def data_folder() -> Path:
    """Return the folder of downloaded tables: SCALEBAYES_DATA if set, else the user's cache."""
    folder = os.environ.get(DATA_FOLDER) or platformdirs.user_cache_path("scalebayes") / "data"
    return Path(folder).expanduser()


def locate(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file, given by its path or by its name in the data folder.

    Raises:
        ObservationsError: there is no such file; the message lists where it was sought.
    """
    given = Path(path).expanduser()
    folder = os.environ.get(DATA_FOLDER)
    looked = [given] if given.is_absolute() else [given, data_folder() / given]
    for place in looked:
        if place.is_file():
            return place
    remedy = f"set {DATA_FOLDER} to the folder that holds {quoted([given])}"
    if given.is_dir():
        remedy = "name a CSV file inside that folder"
    elif given.is_absolute():
        remedy = "correct the path"
    elif folder:
        remedy = f"correct the path, or {DATA_FOLDER}"
    raise ObservationsError(
        f"expected a CSV file, found none at {quoted(looked)}"
        f"{'' if folder else f' ({DATA_FOLDER} is not set)'}: {remedy}"
    )


def read(path: str | os.PathLike[str], **options: Any) -> pd.DataFrame:
    """Return a CSV file as a DataFrame, after checking that every row fits the header.

    Args:
        path: the file; a relative path is also sought in the data folder.
        **options: passed to `pandas.read_csv`, such as `dtype` or `index_col`.

    Raises:
        ObservationsError: there is no such file, it is not text, or a row has too few or too many
            fields, as at the end of a truncated download.
    """
    read_csv(path)
    return pd.read_csv(locate(path), **options)


def read_csv(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return a comma-separated UTF-8 file as a table of text with the index "line 2", "line 3", ...

    Every row must have as many fields as the header. pandas would pad a short row with NaN, and a
    truncated file would pass for one with missing scores.

    Raises:
        ObservationsError: there is no such file, it is not text, it has no header, or a row does not
            fit the header.
    """
    place = locate(path)
    # csv counts physical lines, as editors do, even with line breaks in quotes
    lines: list[tuple[int, list[str]]] = []
    try:
        with place.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            start = 1
            for fields in reader:
                if fields:
                    lines.append((start, fields))
                start = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise ObservationsError(
            f"{place.name}: expected comma-separated UTF-8 text, got bytes that are not: "
            "export the table as CSV, or pass a DataFrame"
        ) from error
    except csv.Error as error:
        raise ObservationsError(
            f"{place.name}, line {reader.line_num}: expected comma-separated text, got a row that "
            f"cannot be split ({error}): is the file truncated, or not a CSV file?"
        ) from error
    return _framed(place.name, lines)


def _framed(name: str, lines: list[tuple[int, list[str]]]) -> pd.DataFrame:
    if not lines or any("\0" in field for _, fields in lines[:1] for field in fields):
        what = "a binary file" if lines else "an empty file"
        raise ObservationsError(
            f"{name}: expected a header and rows of comma-separated text, got {what}: "
            "check what was downloaded or saved"
        )
    header = [field.strip() or f"Unnamed: {i}" for i, field in enumerate(lines[0][1])]
    repeated = sorted({field for field in header if header.count(field) > 1})
    if repeated:
        raise ObservationsError(
            f"{name}, line {lines[0][0]}: expected each column once, got {quoted(repeated)} "
            "more than once: rename the columns apart"
        )
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ObservationsError(
            f"{name}, line {lines[0][0]}: expected fields separated by commas, got the single "
            f"column {header[0]!r}: save the table comma-separated, or pass a DataFrame"
        )
    wrong = [(line, len(fields)) for line, fields in lines[1:] if len(fields) != len(header)]
    if wrong:
        first = ", ".join(f"{count} in line {line}" for line, count in wrong[:3])
        more = f" (and in {plural(len(wrong) - 3, 'more line')})" if len(wrong) > 3 else ""
        last = wrong[-1][0] == lines[-1][0] and wrong[-1][1] < len(header)
        remedy = "the last line is short, is the file truncated?" if last else "correct those lines"
        raise ObservationsError(
            f"{name}: expected {plural(len(header), 'field')} in every row, as in the header, "
            f"got {first}{more}: {remedy}"
        )
    index = [f"line {line}" for line, _ in lines[1:]]
    return pd.DataFrame([fields for _, fields in lines[1:]], columns=header, index=index, dtype=str)
