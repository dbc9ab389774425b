"""What a section of a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.report.figures import Picture


@dataclass(frozen=True)
class Section:
    """A part of the page, in the order in which it is read.

    Attributes:
        name: Its anchor.
        heading: Its heading.
        text: Paragraphs.
        points: A list under them.
        links: Titles and addresses under these.
        pictures: Pictures.
        equations: Text whose lines stay as they are.
        tables: Tables by their captions.
        status: Whether it is good or bad news.
    """

    name: str
    heading: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = ()
    pictures: Sequence[Picture] = ()
    equations: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    status: Literal["", "good", "bad"] = ""
