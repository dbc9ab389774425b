"""The content of a section of a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.report.figures import Picture


@dataclass(frozen=True)
class Section:
    """A section of the page, with its parts in the order in which they are shown.

    Attributes:
        name: Anchor of the section, unique on the page.
        heading: Heading.
        text: Paragraphs.
        points: Items of a list.
        links: Titles and addresses.
        pictures: Pictures.
        equations: Preformatted text.
        tables: Tables by their captions.
        status: Colour of the section: `good`, `bad`, or neither.
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
