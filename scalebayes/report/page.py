"""write_report: one page for a fit, complete in one file that works without a network."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from scalebayes.evaluation.heldout import held_out, holds_out
from scalebayes.prediction.designs import observations_of
from scalebayes.prediction.reliability import checked, warn_if_far
from scalebayes.report import answers, background
from scalebayes.report.tables import cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit
    from scalebayes.report.figures import Picture
    from scalebayes.report.section import Section


MIN_VALUES_FOR_CALIBRATION = 5
"""With fewer held-out scores, or losses, the page has no section on their calibration."""


@checked
def write_report(
    fit: Fit,
    path: str | Path,
    *,
    models: pd.DataFrame | Observations | None = None,
    new_families: Sequence[str] = (),
    title: str | None = None,
    seed: int = 0,
) -> Path:
    """Write a self-contained HTML report on a fit.

    The page has the convergence checks, predictions, held-out predictions and their calibration, what the
    data identify, the law, the data, the priors with their reasons, and provenance. It needs the optional
    extra `report`.

    Args:
        fit: The fit.
        path: The file to write. It is written in one step, so it is never incomplete.
        models: Models to predict on the page, as `predict` takes them; its curves go through them.
        new_families: As in `predict`.
        title: Title of the page; by default the law and the number of models.
        seed: Seed of the predictive draws.

    Returns:
        The path.

    Warns:
        ExtrapolationWarning: As for `predict`.

    Raises:
        FileNotFoundError: If the folder of the file does not exist.
        ModuleNotFoundError: If jinja2 is not installed.
        ValueError: If `predict` refuses the models.

    Example:
        >>> path = sb.write_report(fit, "report.html", title="Small models")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    try:
        import jinja2
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'a report needs jinja2: pip install "scalebayes[report]"'
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scalebayes.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "embedded": embedded, "have_numbers": have_numbers}
    page = environment.get_template("page.html").render(
        title=title or f"{type(fit.law).__name__} on {len(fit.observations.models)} models",
        sections=_sections(fit, models, new_families, seed),
    )
    if models is not None:
        warn_if_far(fit, observations_of(fit, models).models)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def _sections(
    fit: Fit,
    models: pd.DataFrame | Observations | None,
    new_families: Sequence[str],
    seed: int,
) -> list[Section]:
    """The sections of a page, in their order; those of which a fit has nothing to tell are left out."""
    asked = None
    if models is not None:
        planned = observations_of(fit, models)
        asked = answers.described_predictions(fit, planned, new_families, seed)
    compared = {of: held_out(fit, of=of, seed=seed) for of in holds_out(fit)}
    found = [answers.verdict(fit, compared)]
    if asked is not None:
        found.append(answers.predictions(fit, asked))
    if compared:
        found.append(answers.of_held_out(compared))
    found += [
        answers.calibration(held)
        for held in compared.values()
        if len(held.cells) >= MIN_VALUES_FOR_CALIBRATION
    ]
    return [
        *found,
        answers.curves(fit, asked, new_families, seed),
        answers.identifiability(fit, seed),
        background.limits(fit),
        background.law(fit),
        background.data(fit),
        background.priors(fit),
        background.provenance(fit, seed),
    ]


def have_numbers(table: pd.DataFrame) -> list[bool]:
    """Whether all cells of each column read as numbers or as missing, and belong to the right."""
    return [all(re.fullmatch(r"-?[\d.]+%?|-", cell(v)) for v in table[c]) for c in table]


def embedded(picture: Picture) -> str:
    """A picture as the address of an image that holds all of it; its figure is closed."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    file = BytesIO()
    # the same picture gives the same bytes; letters are shapes, alike in every browser
    with mpl.rc_context({"svg.hashsalt": "scalebayes", "svg.fonttype": "path"}):
        picture.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(picture.figure)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
