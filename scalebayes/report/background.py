"""Sections of a report that tell what a fit is: its limits, law, data, priors and provenance."""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalebayes import datasets
from scalebayes.data.schema import COLUMNS
from scalebayes.data.validation import plural
from scalebayes.report.section import Section
from scalebayes.report.summary import about
from scalebayes.version import __version__

if TYPE_CHECKING:
    from scalebayes.inference.posterior import Fit

FEW_FAMILIES = 5
"""With fewer, how much families differ is mostly what the prior says."""


def law(fit: Fit) -> Section:
    """What was fitted."""
    what = (inspect.getdoc(type(fit.law)) or "").partition("\n")[0]
    choices = [(k, v) for k, v in about(fit)["law"].items() if k != "name"]
    return Section(
        "law",
        "What was fitted",
        [f"{type(fit.law).__name__}: {what[:1].lower()}{what[1:]}"],
        links=list(fit.law.references),
        equations=fit.law.story.strip(),
        tables={"Choices of the law": pd.DataFrame(choices, columns=["choice", "value"])},
    )


def data(fit: Fit) -> Section:
    """On what data."""
    own = fit.observations
    text = [f"{str(own).removeprefix('Observations(').removesuffix(')')}."]
    hidden = [
        plural(int((~seen).sum()), one, many)
        for seen, one, many in ((fit.seen, "score", ""), (fit.losses_seen, "loss", "losses"))
        if not seen.all()
    ]
    if hidden:
        text.append(f"Held out, which the law has not seen: {' and '.join(hidden)}.")
    source, links = datasets.source_of(own), []
    if source:
        text.append(f"The scores are among those of a bundled table: {source['title']}.")
        links = [(source["paper"]["title"], source["paper"]["url"])]
        links += [
            (s["repository"].removeprefix("https://"), s["repository"]) for s in source["sources"]
        ]
    scores = own.scores.assign(seen=fit.seen)
    tables = {"Families": _families(own.models, scores)}
    if len(scores):
        of_benchmark = scores.groupby("benchmark", sort=False)
        tables["Benchmarks"] = of_benchmark.agg(
            scores=("seen", "size"), seen=("seen", "sum"), items=("n_items", "first"),
            chance=("chance", "first"), lowest=("score", "min"), median=("score", "median"),
            highest=("score", "max"),
        ).reset_index()  # fmt: skip
        tables["Benchmarks"]["items"] = tables["Benchmarks"]["items"].astype("Int64")
    if len(own.losses):
        of_domain = own.losses.assign(seen=fit.losses_seen).groupby("domain", sort=False)
        tables["Losses"] = of_domain.agg(
            unit=("unit", "first"), losses=("seen", "size"), seen=("seen", "sum"),
            lowest=("loss", "min"), median=("loss", "median"), highest=("loss", "max"),
        ).reset_index()  # fmt: skip
    return Section("data", "On what data", text, links=links, tables=tables)


def limits(fit: Fit) -> Section:
    """What the page cannot say."""
    own = fit.observations
    seen = {*own.scores["model"][fit.seen], *own.losses["model"][fit.losses_seen]}
    known = own.models[own.models["model"].isin(seen)]
    unknown = int(known["tokens"].isna().sum())
    few = ": of a new one the law knows little but its priors"
    n_family = len(fit.known_families)
    points = [
        "Intervals are conditional on the law: that what holds for the models it has seen, of up to "
        f"{known['params'].max() / 1e9:.3g} billion parameters, holds for larger ones too.",
        "Scores are taken as they were published. What differs between evaluations, and test items "
        "that a model was trained on, are known only as far as they show as noise.",
        f"How much families differ is known from {plural(n_family, 'family', 'families')}"
        f"{few if n_family < FEW_FAMILIES else ''}.",
    ]
    if unknown:
        points.append(f"Training tokens of {plural(unknown, 'model')} are unknown: averaged over.")
    return Section("limits", "Limits", points=points)


def priors(fit: Fit) -> Section:
    """The priors of the law, each with its reason."""
    table = pd.DataFrame(about(fit)["priors"]).rename(columns={"name": "parameter"})
    text = ["Parameters have the letters of the law's paper, or of its source file."]
    return Section("priors", "Priors", text, tables={"Priors and their reasons": table})


def provenance(fit: Fit, seed: int) -> Section:
    """What it takes to get the same page again."""
    facts = about(fit)
    parts: dict[str, dict[str, Any]] = {
        "setting": facts["settings"],
        "seconds": {k: f"{v:.1f}" for k, v in facts["seconds"].items()},
        "version": facts["versions"],
        "held out": {" / ".join([h] if isinstance(h, str) else h): "" for h in fit.held_out},
        "SHA-256 of the table": {
            kind: hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
            for kind in COLUMNS
            if len(table := getattr(fit.observations, kind))
        },
        "this page": {"seed of predictive draws": seed, "scalebayes": __version__},
    }
    rows = [(part, k, str(v)) for part, values in parts.items() for k, v in values.items()]
    table = pd.DataFrame(rows, columns=["part", "name", "value"])
    return Section("provenance", "Provenance", tables={"Settings, versions and data": table})


def _families(models: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """One row a family: its models, their sizes and tokens, and how many of its scores were seen."""
    family = scores["model"].map(models.set_index("model")["family"])
    of_family = models.groupby("family", sort=False)
    table = of_family.agg(models=("model", "size"))
    table["parameters (billion)"] = of_family["params"].agg(lambda v: _range(v / 1e9))
    table["tokens (trillion)"] = of_family["tokens"].agg(lambda v: _range(v / 1e12))
    seen = scores["seen"].groupby(family).agg(["size", "sum"])
    table[["scores", "seen"]] = seen.reindex(table.index).fillna(0).astype(int)
    return table.reset_index()


def _range(values: pd.Series) -> str:
    """The smallest and the largest of some numbers, of which some may be missing."""
    known = values.dropna()
    ends = dict.fromkeys(f"{v:.3g}" for v in (known.min(), known.max())) if len(known) else ()
    return " to ".join(ends) or "-"
