"""The validated tables behind observations, and the ways to build them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from scalebayes.data.covariates import Covariate, Covariates, declared, joined, with_levels
from scalebayes.data.reading import Extra, Source, long_table, split_table, wide_tables
from scalebayes.data.schema import COLUMNS, ObservationsError
from scalebayes.data.score_checks import Scales, check_choice, check_mixtures, check_scores
from scalebayes.data.validation import Table, validated


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ValidatedTables:
    """Tables of models, scores, losses and mixtures that satisfy the schema, and the covariates.

    `Observations` documents the arguments.
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
        scales: Scales = "check",
    ) -> None:
        check_choice(scales)
        own = declared(covariates)
        given = zip(COLUMNS, (models, scores, losses, mixtures), strict=True)
        self._keep(validated(*(long_table(k, table, covariates=own) for k, table in given)), own)
        self._check_scores(scales)

    def _check_scores(self, scales: Scales) -> None:
        if scales == "check":
            check_scores(self._models, self._scores)

    def _keep(self, tables: Iterable[pd.DataFrame], covariates: tuple[Covariate, ...]) -> None:
        for kind, table in zip(COLUMNS, tables, strict=True):
            object.__setattr__(self, f"_{kind}", table)
        object.__setattr__(self, "_covariates", with_levels(covariates, self._models))

    @classmethod
    def _of(cls, tables: Iterable[pd.DataFrame], covariates: tuple[Covariate, ...]) -> Self:
        """Return observations of tables that are valid already, in the order of `COLUMNS`."""
        made = cls.__new__(cls)
        made._keep(tables, covariates)
        return made

    @property
    def covariates(self) -> dict[str, Covariate]:
        """Name -> declaration of each covariate, in order of declaration."""
        return {covariate.name: covariate for covariate in self._covariates}

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
        scales: Scales = "check",
        extra: Extra = "error",
    ) -> Self:
        """Return the observations in a table with one row per model, one column per benchmark.

        Args:
            table: a DataFrame or a CSV file; an empty cell of a benchmark is a missing score.
            benchmarks: the columns of scores, in the order in which to keep them.
            losses: domain -> its column of losses and their unit, as in
                {"c4": ("c4_loss", "nats/token")}; an empty cell is a missing loss.
            mixtures: source -> its column of weights, as in {"web": "share_web"}; the mixture of a
                model is unknown if all its cells are empty.
            model: the column of model names, which must be unique.
            family: the column of families; models of one family differ only in size and tokens.
            lineage: the column of releases, each of one or more families, such as base and instruct
                variants; None makes each family its own.
            run: the column of training runs, of which a row is a checkpoint; None makes each model
                its own.
            params: the column of parameters N.
            tokens: the column of training tokens D, empty where unknown; None if there is none.
            flops: the column of training FLOPs C; None computes them as 6 N D.
            units: column -> the factor that gives counts, as in {"params": 1e9, "tokens": 1e12};
                {"score": 0.01} turns percentages into fractions, {"mmlu": 0.01} those of one benchmark.
            chance: benchmark -> its chance level in [0, 1); unknown where not given.
            items: benchmark -> its number of test items; unknown where not given.
            covariates: further columns of models and their kinds, as for `Observations`.
            scales: "trust" accepts scores on any scale, as for `Observations`.
            extra: "ignore" leaves out columns that no argument names; "error" refuses them.

        Raises:
            ObservationsError: naming the row, the column, what was expected, what came and the
                remedy.

        Warns:
            ScoreWarning: as for `Observations`.

        Example:
            >>> import pandas as pd
            >>> from scalebayes.data.observations import Observations
            >>> table = pd.DataFrame(
            ...     {
            ...         "model": ["a-1b", "a-7b"],
            ...         "family": "a",
            ...         "params": [1, 7],
            ...         "mmlu": [31.0, None],
            ...         "code": [0.1, 0.2],
            ...     }
            ... )
            >>> observations = Observations.from_wide(
            ...     table,
            ...     benchmarks=["mmlu"],
            ...     tokens=None,
            ...     units={"params": 1e9, "score": 0.01},
            ...     covariates={"code": "numeric"},
            ... )
            >>> observations
            Observations(2 models of 1 family; 1 score on 1 benchmark; tokens unknown for 2; 1 covariate: code)
            >>> observations.models["params"].tolist()
            [1000000000.0, 7000000000.0]
        """
        check_choice(scales)
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
        found = cls._of(validated(*tables), own)
        found._check_scores(scales)
        return found

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
        scales: Scales = "check",
        extra: Extra = "error",
    ) -> Self:
        """Return the observations in long tables, or in one long table that joins them.

        Args:
            models: a DataFrame or a CSV file with model, family, params; optionally run, lineage,
                tokens, flops. If it is the only table, it may also have the columns of the others,
                and repeats the columns of a model on every row of it: a row with a benchmark is a
                score, a row with a domain is a loss, a row with a source is a share.
            scores: model, benchmark, score; optionally n_items, chance.
            losses: model, domain, loss, unit.
            mixtures: model, source, weight.
            units: column -> the factor that gives counts, as in {"params": 1e9}; {"score": 0.01}
                turns percentages into fractions, {"mmlu": 0.01} those of one benchmark.
            covariates: further columns of models and their kinds, as for `Observations`.
            scales: "trust" accepts scores on any scale, as for `Observations`.
            extra: "ignore" leaves out columns with other names; "error" refuses them.

        Raises:
            ObservationsError: naming the row, the column, what was expected, what came and the
                remedy.

        Warns:
            ScoreWarning: as for `Observations`.

        Example:
            >>> import pandas as pd
            >>> from scalebayes.data.observations import Observations
            >>> rows = pd.DataFrame(
            ...     {
            ...         "model": "a-1b",
            ...         "family": "a",
            ...         "params": 1e9,
            ...         "benchmark": ["mmlu", "arc"],
            ...         "score": [0.31, 0.4],
            ...     }
            ... )
            >>> Observations.from_long(rows)
            Observations(1 model of 1 family; 2 scores on 2 benchmarks; tokens unknown for 1)
        """
        check_choice(scales)
        others, own = (scores, losses, mixtures), declared(covariates)
        if all(table is None for table in others):
            tables = split_table(models, units=units, extra=extra, covariates=own)
        else:
            tables = tuple(
                long_table(kind, table, units=units, extra=extra, covariates=own)
                for kind, table in zip(COLUMNS, (models, *others), strict=True)
            )
        found = cls._of(validated(*tables), own)
        found._check_scores(scales)
        return found

    @classmethod
    def concat(cls, *parts: Self, scales: Scales = "check") -> Self:
        """Return all rows of several observations; a row that two of them share is kept once.

        The levels of a category are those of all parts, in order of first appearance.

        Args:
            *parts: the observations, at least one.
            scales: "trust" accepts parts whose scores on a benchmark are on different scales; scores below
                chance are told where a table is read, not here.

        Raises:
            ObservationsError: two parts contradict each other, which names the model and the
                column, or declare different covariates; or the scores of one are normalised by chance and
                those of another are not.
        """
        check_choice(scales)
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
        made = cls._of(validated(*tables), own)
        if scales == "check":
            check_mixtures(made._models, made._scores)
        return made
