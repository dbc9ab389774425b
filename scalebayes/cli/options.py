"""From the text of an option to its value; every refusal names the option and gives an example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXAMPLES = {
    "--units": "params=1e9,tokens=1e12",
    "--covariate": "year=2025",
    "--minimise": "c4=1",
    "--items": "mmlu=14042",
}
"""Pairs name=number that suit an option; others take the score of a benchmark."""


def pairs(texts: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Split texts such as "a=1,b=2" into pairs.

    Yields:
        The pair as it was given, its name and its value; without an equals sign the name is empty.
    """
    for pair in (p.strip() for text in texts for p in text.split(",") if p.strip()):
        name, _, value = pair.rpartition("=")
        yield pair, name.strip(), value.strip()


def factors(option: str, texts: Iterable[str]) -> dict[str, float]:
    """Parse pairs name=number, joined by commas or given one by one."""
    found: dict[str, float] = {}
    for pair, name, number in pairs(texts):
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise ValueError(
                f"{option} expects name=number, such as {EXAMPLES.get(option, 'mmlu=0.25')}, got {pair!r}"
            )
    return found


def losses(texts: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Parse domain=column:unit."""
    found = {}
    for text in texts:
        domain, _, rest = text.partition("=")
        column, _, unit = rest.rpartition(":")
        if not (domain.strip() and column.strip() and unit.strip()):
            raise ValueError(
                f"--loss expects DOMAIN=COLUMN:UNIT, such as c4=c4_loss:nats/token, got {text!r}"
            )
        found[domain.strip()] = column.strip(), unit.strip()
    return found


def mixtures(texts: Iterable[str]) -> dict[str, str]:
    """Parse pairs source=column, joined by commas or given one by one."""
    found: dict[str, str] = {}
    for pair, source, column in pairs(texts):
        if not (source and column):
            raise ValueError(
                f"--mixture expects SOURCE=COLUMN, such as web=share_web, got {pair!r}"
            )
        if source in found:
            raise ValueError(f"--mixture names {source!r} twice: give each source one column")
        found[source] = column
    return found


def covariates(texts: Iterable[str]) -> dict[str, str | list[str]]:
    """Parse pairs column=kind; a kind is numeric, category, or levels in order, as in base<sft<chat."""
    found: dict[str, str | list[str]] = {}
    for pair, column, kind in pairs(texts):
        if not (column and kind):
            raise ValueError(
                f"--covariate expects COLUMN=KIND, such as stage=category, got {pair!r}"
            )
        found[column] = [level.strip() for level in kind.split("<")] if "<" in kind else kind
    return found


def numbers(option: str, text: str, example: str) -> list[float]:
    """Parse numbers joined by commas."""
    try:
        return [float(p) for p in text.split(",") if p.strip()]
    except ValueError:
        raise ValueError(f"{option} expects numbers such as {example}, got {text!r}") from None


def low_and_high(option: str, text: str) -> tuple[float, float] | None:
    """Parse LOW,HIGH; None for an empty text."""
    found = numbers(option, text, "10,200")
    if not found:
        return None
    if len(found) != 2:
        raise ValueError(f"{option} expects two numbers, such as 10,200, got {text!r}")
    return found[0], found[1]


def probabilities(text: str) -> list[float]:
    """Parse probabilities joined by commas."""
    return numbers("--prob", text, "0.5,0.9")


def whole_numbers(option: str, text: str) -> list[int]:
    """Parse positive whole numbers joined by commas."""
    listed = [number.strip() for number in text.split(",") if number.strip()]
    if not listed or not all(re.fullmatch("[1-9][0-9]*", number) for number in listed):
        raise ValueError(f"{option} expects whole numbers such as 1,2, got {text!r}")
    return [int(number) for number in listed]


def named_files(texts: Iterable[str]) -> dict[str, Path]:
    """Parse NAME=FILE, or FILE, whose name is its stem."""
    found: dict[str, Path] = {}
    for text in texts:
        given, _, rest = ("", "", text) if Path(text).exists() else text.rpartition("=")
        name = given.strip() or Path(rest).stem
        if name in found:
            raise ValueError(
                f"two fits are called {name!r}: give one another name, {name}-2={rest}"
            )
        found[name] = Path(rest)
    return found
