"""Observations: the models, their scores, losses and data mixtures, as validated long tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from scalebayes.data.covariates import Covariate, Covariates, declared, joined, with_levels
from scalebayes.data.reading import Extra, Source, long_table, split_table, wide_tables
from scalebayes.data.schema import COLUMNS, quoted, suggestion
from scalebayes.data.validation import ObservationsError, Table, plural, validated

__all__ = ["Observations", "ObservationsError"]

Names: TypeAlias = str | Iterable[str] | None


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Observations:
    """What was observed of a set of models: frozen, validated long tables.

    There is one row a score, a loss, or a share of training data; what is not known has no row. Rows
    keep the order in which they came; the tables are handed out as copies. Building one from tables
    of this very form is `Observations(models, scores, losses, mixtures)`; `from_wide` and `from_long`
    take tables with other names and units.

    Args:
        models: model, family, params; optional run, lineage, tokens, flops.
        scores: model, benchmark, score; optional n_items, chance.
        losses: model, domain, loss, unit.
        mixtures: model, source, weight: which share of a model's training tokens came from each
            source. The weights of a model sum to one within 0.001 and are kept as given; a source
            without a row has none.
        covariates: further columns of models and their kinds, as in {"share_code": "numeric",
            "architecture": "category", "stage": ["base", "instruct"]}, where a list holds the
            levels of an ordered covariate in order; or a sequence of `Covariate`.

    Raises:
        ObservationsError: naming row, column, what was expected, what came and the remedy.
    """

    _models: pd.DataFrame
    _scores: pd.DataFrame
    _losses: pd.DataFrame
    _mixtures: pd.DataFrame
    _covariates: tuple[Covariate, ...]

    def __init__(
        self,
        models: pd.DataFrame,
        scores: pd.DataFrame | None = None,
        losses: pd.DataFrame | None = None,
        mixtures: pd.DataFrame | None = None,
        *,
        covariates: Covariates = (),
    ) -> None:
        own = declared(covariates)
        given = zip(COLUMNS, (models, scores, losses, mixtures), strict=True)
        self._keep(validated(*(long_table(k, table, covariates=own) for k, table in given)), own)

    def _keep(self, tables: Iterable[pd.DataFrame], covariates: tuple[Covariate, ...]) -> None:
        for kind, table in zip(COLUMNS, tables, strict=True):
            object.__setattr__(self, f"_{kind}", table)
        object.__setattr__(self, "_covariates", with_levels(covariates, self._models))

    @classmethod
    def _of(cls, tables: Iterable[pd.DataFrame], covariates: tuple[Covariate, ...]) -> Observations:
        """Keep tables that are valid already, in the order of `COLUMNS`."""
        made = cls.__new__(cls)
        made._keep(tables, covariates)
        return made

    @classmethod
    def from_wide(
        cls,
        table: Source,
        *,
        benchmarks: Sequence[str],
        losses: Mapping[str, tuple[str, str]] | None = None,
        mixtures: Mapping[str, str] | None = None,
        model: str = "model",
        family: str = "family",
        lineage: str | None = None,
        run: str | None = None,
        params: str = "params",
        tokens: str | None = "tokens",
        flops: str | None = None,
        units: Mapping[str, float] | None = None,
        chance: Mapping[str, float] | None = None,
        items: Mapping[str, float] | None = None,
        covariates: Covariates = (),
        extra: Extra = "error",
    ) -> Observations:
        """Take a table with one row a model and one column a benchmark.

        Args:
            table: a DataFrame or a CSV file; an empty cell of a benchmark is a missing score.
            benchmarks: the columns that hold scores, in the order to keep.
            losses: domain -> the column that holds its losses and their unit, as in
                {"c4": ("c4_loss", "nats/token")}; an empty cell is a missing loss.
            mixtures: source -> the column that holds its weights, as in {"web": "share_web"}; a
                model whose cells are all empty has no known mixture.
            model: the column of unique model names; likewise `family`.
            family: models that differ in size or training tokens only share one.
            lineage: the release above families (base and instruct variants); else the family.
            run: the training run whose checkpoints the rows are; else every model is its own.
            params: column of parameters N.
            tokens: column of training tokens D, empty where unknown; None where there is none.
            flops: column of training FLOPs C; else 6 N D.
            units: factor to a count, as in {"params": 1e9, "tokens": 1e12}; {"score": 0.01} for
                percentages.
            chance: benchmark -> the score of guessing, in [0, 1); unknown where not given.
            items: benchmark -> number of test items; unknown where not given.
            covariates: columns of covariates and their kinds, as for `Observations`.
            extra: "ignore" leaves out columns that are neither named nor listed; else an error.

        Raises:
            ObservationsError: naming row, column, what was expected, what came and the remedy.
        """
        named = {"model": model, "run": run, "family": family, "lineage": lineage}
        named |= {"params": params, "tokens": tokens, "flops": flops}
        columns = {ours: theirs for ours, theirs in named.items() if theirs is not None}
        tables = wide_tables(
            table,
            columns,
            benchmarks,
            losses=losses or {},
            mixtures=mixtures or {},
            units=units,
            chance=chance or {},
            items=items or {},
            extra=extra,
            covariates=(own := declared(covariates)),
        )
        return cls._of(validated(*tables), own)

    @classmethod
    def from_long(
        cls,
        models: Source,
        scores: Source | None = None,
        losses: Source | None = None,
        mixtures: Source | None = None,
        *,
        units: Mapping[str, float] | None = None,
        covariates: Covariates = (),
        extra: Extra = "error",
    ) -> Observations:
        """Take tables with one row a model, a score, a loss and a share, or one with everything.

        Args:
            models: model, family, params; optional run, lineage, tokens, flops. Given alone it may
                hold the other tables' columns too, each model's own repeated on its rows: a row
                with a benchmark is a score, with a domain a loss, with a source a share.
            scores: model, benchmark, score; optional n_items, chance.
            losses: model, domain, loss, unit.
            mixtures: model, source, weight.
            units: factor to a count, as in {"params": 1e9}; {"score": 0.01} for percentages.
            covariates: columns of covariates and their kinds, as for `Observations`.
            extra: "ignore" leaves out columns with other names; else they are an error.

        Raises:
            ObservationsError: naming row, column, what was expected, what came and the remedy.
        """
        others, own = (scores, losses, mixtures), declared(covariates)
        if all(table is None for table in others):
            tables = split_table(models, units=units, extra=extra, covariates=own)
            return cls._of(validated(*tables), own)
        given = zip(COLUMNS, (models, *others), strict=True)
        tables = tuple(
            long_table(kind, table, units=units, extra=extra, covariates=own)
            for kind, table in given
        )
        return cls._of(validated(*tables), own)

    @staticmethod
    def concat(*parts: Observations) -> Observations:
        """Join observations; what two parts say alike is kept once.

        Raises:
            ObservationsError: two parts contradict each other, named by model and column, or
                differ in the covariates that they declare.
        """
        if not parts:
            raise ObservationsError("concat expects at least one Observations, got none")
        own = joined([part.covariates for part in parts])
        tables = []
        for kind in COLUMNS:
            frames = [getattr(part, f"_{kind}") for part in parts]
            frames = [f.set_axis([f"part {n}"] * len(f)) for n, f in enumerate(frames, start=1)]
            # an empty part has no dtypes of its own to contribute
            filled = [frame for frame in frames if len(frame)] or frames[:1]
            covariates = own if kind == "models" else ()
            frame = pd.concat(filled)
            tables.append(Table(kind, frame, repeats="merge", covariates=covariates))
        return Observations._of(validated(*tables), own)

    def with_tables(
        self,
        *,
        models: pd.DataFrame | None = None,
        scores: pd.DataFrame | None = None,
        losses: pd.DataFrame | None = None,
        mixtures: pd.DataFrame | None = None,
    ) -> Observations:
        """Return these observations with the given tables in place of their own.

        The declared covariates stay, with the levels that they have here.

        Args:
            models: the new table of models, with a column for each covariate; None keeps the
                present table.
            scores: likewise; a table without rows removes all scores.
            losses: likewise.
            mixtures: likewise.

        Raises:
            ObservationsError: as for `Observations`, and if a model has a level of a covariate
                that these observations do not know.
        """
        given = zip(COLUMNS, (models, scores, losses, mixtures), strict=True)
        tables = (getattr(self, f"_{kind}") if new is None else new for kind, new in given)
        return Observations(*tables, covariates=self._covariates)

    @property
    def covariates(self) -> dict[str, Covariate]:
        """Name -> declaration of each covariate, in order of declaration."""
        return {covariate.name: covariate for covariate in self._covariates}

    @property
    def models(self) -> pd.DataFrame:
        """One row a model: model, run, family, lineage, params, tokens, flops (counts, or NaN).

        The covariates follow, float if numeric and text if not.
        """
        return self._models.copy()

    @property
    def scores(self) -> pd.DataFrame:
        """One row a score: model, benchmark, score in [0, 1], n_items and chance (or NaN)."""
        return self._scores.copy()

    @property
    def losses(self) -> pd.DataFrame:
        """One row a loss: model, domain, loss, unit ("nats/token" or "bits/byte")."""
        return self._losses.copy()

    @property
    def mixtures(self) -> pd.DataFrame:
        """One row a model and source: model, source, weight in [0, 1]; none where it is unknown."""
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
        """Keep what bears all the given names; a model stays even where none of its scores does.

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
        """Leave out what bears any of the given names, models with all that is known of them.

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
        """Return one row a model, one column a benchmark, NaN where there is no score.

        The inverse of `from_wide` with every column and covariate named; n_items, chance, losses and mixtures
        have no place in a wide table.
        """
        cells = self._scores.pivot(index="model", columns="benchmark", values="score")
        cells = cells.reindex(index=self._models["model"], columns=list(self.benchmarks))
        return pd.concat([self.models, cells.reset_index(drop=True)], axis=1)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same rows in the same order, and declare the same covariates."""
        if not isinstance(other, Observations):
            return NotImplemented
        return self._covariates == other._covariates and all(
            getattr(self, f"_{kind}").equals(getattr(other, f"_{kind}")) for kind in COLUMNS
        )

    def __repr__(self) -> str:
        """Return the counts of what is held, and the names of the covariates, in one line."""
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
    """Return the rows whose `column` is (or is not) among `names`; all where none are given."""
    if names is None:
        return frame
    wanted = [names] if isinstance(names, str) else [str(name) for name in names]
    known = known or tuple(frame[column].unique())
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ObservationsError(
            f"expected names of the column {column!r}, got {quoted(unknown)}, which no row bears"
            + (suggestion(unknown[0], known) or f": these are known: {quoted(known)}")
        )
    return frame[frame[column].isin(wanted) == keep]
