"""Observations: the models, their scores, losses and data mixtures, as validated long tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from scalebayes.data.schema import COLUMNS, ObservationsError, quoted, suggestion
from scalebayes.data.score_checks import normalised_rows
from scalebayes.data.tables import ValidatedTables
from scalebayes.data.validation import plural

__all__ = ["Observations", "ObservationsError"]

Names: TypeAlias = str | Iterable[str] | None


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Observations(ValidatedTables):
    """What was observed of a set of models: frozen, validated long tables.

    There is one row per score, per loss and per share of training data; an unknown value has no
    row. Rows keep their order, and every property returns a copy. `Observations(...)` takes tables
    with the column names below; `from_wide` and `from_long` also read files, other column names and
    other units.

    Args:
        models: model, family, params; optionally run, lineage, tokens, flops. Where they are
            missing, the run is the model, the lineage is the family, and the FLOPs are 6 N D.
        scores: model, benchmark, score in [0, 1]; optionally n_items, chance.
        losses: model, domain, loss, unit ("nats/token" or "bits/byte").
        mixtures: model, source, weight: the share of a model's training tokens from each source.
            The weights of a model must sum to one within 0.001 and are kept as given; a source
            without a row has weight zero.
        covariates: further columns of `models` and their kinds, as in {"share_code": "numeric",
            "architecture": "category", "stage": ["base", "instruct"]}, where a list gives the
            levels of an ordered covariate in their order; or a sequence of `Covariate`.
        scales: "check" refuses a benchmark whose scores are normalised by chance in some rows and raw in
            others, judged by the models' other scores and sizes, and one most of whose scores are clearly
            below its chance level; "trust" accepts all scores in [0, 1].

    Raises:
        ObservationsError: naming the row, the column, what was expected, what came and the remedy.

    Warns:
        ScoreWarning: some scores are clearly below the chance level of their benchmark, or it is doubtful
            whether they are on one scale; without a chance level it is always doubtful.

    Example:
        >>> import pandas as pd
        >>> models = pd.DataFrame(
        ...     {"model": ["a-1b", "a-7b"], "family": "a", "params": [1e9, 7e9], "tokens": 2e12}
        ... )
        >>> scores = pd.DataFrame(
        ...     {"model": ["a-1b", "a-7b"], "benchmark": "mmlu", "score": [0.31, 0.45]}
        ... )
        >>> observations = Observations(models, scores)
        >>> observations
        Observations(2 models of 1 family; 2 scores on 1 benchmark)
        >>> observations.only(models="a-7b").scores["score"].tolist()
        [0.45]
    """

    def with_tables(
        self,
        *,
        models: pd.DataFrame | None = None,
        scores: pd.DataFrame | None = None,
        losses: pd.DataFrame | None = None,
        mixtures: pd.DataFrame | None = None,
    ) -> Observations:
        """Return a copy in which the given tables replace the present ones.

        The declared covariates and their levels stay. The scales of scores are not checked again.

        Args:
            models: the new table of models, with a column for each covariate; None keeps the
                present table.
            scores: the new scores, or None; a table without rows removes all scores.
            losses: the new losses, or None.
            mixtures: the new mixtures, or None.

        Raises:
            ObservationsError: as for `Observations`, and if a model has an unknown level of a
                covariate.
        """
        given = zip(COLUMNS, (models, scores, losses, mixtures), strict=True)
        tables = (getattr(self, f"_{kind}") if new is None else new for kind, new in given)
        return Observations(*tables, covariates=self._covariates, scales="trust")

    @property
    def models(self) -> pd.DataFrame:
        """One row per model: model, run, family, lineage, params, tokens, flops, covariates.

        Counts are numbers, NaN where unknown; covariates are numbers if numeric, else text.
        """
        return self._models.copy()

    @property
    def scores(self) -> pd.DataFrame:
        """One row per score: model, benchmark, score in [0, 1], n_items and chance (or NaN)."""
        return self._scores.copy()

    @property
    def losses(self) -> pd.DataFrame:
        """One row per loss: model, domain, loss, unit ("nats/token" or "bits/byte")."""
        return self._losses.copy()

    @property
    def mixtures(self) -> pd.DataFrame:
        """One row per model and source: model, source, weight in [0, 1]; none where unknown."""
        return self._mixtures.copy()

    @property
    def families(self) -> tuple[str, ...]:
        """Families in order of first appearance."""
        return tuple(self._models["family"].unique())

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Benchmarks with at least one score, in order of first appearance."""
        return tuple(self._scores["benchmark"].unique())

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains with at least one loss, in order of first appearance."""
        return tuple(self._losses["domain"].unique())

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources with at least one weight, in order of first appearance."""
        return tuple(self._mixtures["source"].unique())

    def only(
        self,
        *,
        models: Names = None,
        families: Names = None,
        benchmarks: Names = None,
        domains: Names = None,
    ) -> Observations:
        """Keep the rows that match every argument; a selected model stays even without scores.

        Raises:
            ObservationsError: a name is unknown, or no model is left.
        """
        return self._select(True, models, families, benchmarks, domains)

    def without(
        self,
        *,
        models: Names = None,
        families: Names = None,
        benchmarks: Names = None,
        domains: Names = None,
    ) -> Observations:
        """Drop the rows that match any argument; a dropped model takes all its rows with it.

        Raises:
            ObservationsError: a name is unknown, or no model is left.
        """
        return self._select(False, models, families, benchmarks, domains)

    def _select(
        self, keep: bool, models: Names, families: Names, benchmarks: Names, domains: Names
    ) -> Observations:
        rows, scores, losses = self._models, self._scores, self._losses
        rows = _selected(rows, "model", models, keep)
        rows = _selected(rows, "family", families, keep, known=self.families)
        scores = _selected(scores, "benchmark", benchmarks, keep)
        losses = _selected(losses, "domain", domains, keep)
        if rows.empty:
            raise ObservationsError(
                "expected the selection to leave at least one model, got none: "
                f"choose among the families {quoted(self.families)}"
            )
        others = (scores, losses, self._mixtures)
        left = [frame[frame["model"].isin(rows["model"])] for frame in others]
        tables = (frame.reset_index(drop=True) for frame in (rows, *left))
        return self._of(tables, self._covariates)

    def to_wide(self) -> pd.DataFrame:
        """Return one row per model and one column per benchmark, NaN where there is no score.

        `from_wide` inverts it if every column and covariate is named. A wide table has no place
        for n_items, chance, losses and mixtures.
        """
        cells = self._scores.pivot(index="model", columns="benchmark", values="score")
        cells = cells.reindex(index=self._models["model"], columns=list(self.benchmarks))
        return pd.concat([self.models, cells.reset_index(drop=True)], axis=1)

    def normalised_scores(self) -> pd.DataFrame:
        """Return the scores that are read as normalised by chance among raw ones of the same benchmark.

        A benchmark needs a chance level, and at least ten models with other scores or sizes that differ. Read
        the table with scales="trust" first, if it is refused.

        Returns:
            A table with the columns of `scores`; raw: chance + (1 - chance) score; and prob: the probability
            that the score is normalised, above 0.5. The two readings of a score near 1 differ little.

        Example:
            >>> import numpy as np
            >>> size = np.geomspace(1e8, 1e11, 40)
            >>> score = 0.25 + 0.1 * np.log10(size / 1e8)
            >>> score[::2] = (score[::2] - 0.25) / 0.75
            >>> names = [f"a-{i}" for i in range(40)]
            >>> models = pd.DataFrame({"model": names, "family": "a", "params": size})
            >>> scores = pd.DataFrame(
            ...     {"model": names, "benchmark": "gpqa", "score": score, "chance": 0.25}
            ... )
            >>> mixed = Observations(models, scores, scales="trust")
            >>> found = mixed.normalised_scores()
            >>> found["model"].tolist() == names[::2]
            True
            >>> scores = mixed.scores
            >>> scores.loc[found.index, "score"] = found["raw"]
            >>> Observations(models, scores)
            Observations(40 models of 1 family; 40 scores on 1 benchmark; tokens unknown for 40)
        """
        return normalised_rows(self._models, self._scores)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same rows in the same order, and the same covariates."""
        if not isinstance(other, Observations):
            return NotImplemented
        return self._covariates == other._covariates and all(
            getattr(self, f"_{kind}").equals(getattr(other, f"_{kind}")) for kind in COLUMNS
        )

    def __repr__(self) -> str:
        """Return counts of rows and labels, and the names of the covariates, in one line."""
        families = plural(len(self.families), "family", "families")
        parts = [f"{plural(len(self._models), 'model')} of {families}"]
        if len(self._scores):
            count = plural(len(self.benchmarks), "benchmark")
            parts.append(f"{plural(len(self._scores), 'score')} on {count}")
        if len(self._losses):
            count = plural(len(self.domains), "domain")
            parts.append(f"{plural(len(self._losses), 'loss', 'losses')} on {count}")
        if self.sources:
            count = plural(self._mixtures["model"].nunique(), "mixture")
            parts.append(f"{count} of {plural(len(self.sources), 'source')}")
        unknown = int(self._models["tokens"].isna().sum())
        if unknown:
            parts.append(f"tokens unknown for {unknown}")
        if self._covariates:
            names = ", ".join(covariate.name for covariate in self._covariates)
            parts.append(f"{plural(len(self._covariates), 'covariate')}: {names}")
        return f"Observations({'; '.join(parts)})"


def _selected(
    frame: pd.DataFrame, column: str, names: Names, keep: bool, known: Collection[str] = ()
) -> pd.DataFrame:
    """Return the rows whose `column` is (or is not) among `names`; all rows if names is None."""
    if names is None:
        return frame
    wanted = [names] if isinstance(names, str) else [str(name) for name in names]
    known = known or tuple(frame[column].unique())
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ObservationsError(
            f"expected names in the column {column!r}, got {quoted(unknown)}, which no row has"
            + (suggestion(unknown[0], known) or f": the known names are {quoted(known)}")
        )
    return frame[frame[column].isin(wanted) == keep]
