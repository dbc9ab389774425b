"""The verb `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalebayes.cli.common import (
    Chains,
    Draws,
    Json,
    Seed,
    Units,
    Warmup,
    in_folder,
    judged,
    note,
    print_answer,
    print_held_out,
    shows_progress,
)

AUTO = "auto"
"""In place of a law: the one that `fit_best` finds best."""


def fit(
    law: Annotated[
        str,
        typer.Argument(
            metavar="LAW",
            help="Name of a law; `scalebayes laws` lists them with their choices. auto fits the law that best "
            "predicts the largest models inside the table from the smaller ones.",
        ),
    ],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.csv",
            help="One row a model, one column a benchmark; open_llm and olmo_ladder are bundled.",
        ),
    ],
    out: Annotated[Path, typer.Option(callback=in_folder, help="The file to write.")] = Path(
        "fit.nc"
    ),
    benchmarks: Annotated[
        str,
        typer.Option(
            help="Columns of scores: mmlu,gsm8k, or all for all other numeric ones; leave it out for losses "
            "alone."
        ),
    ] = "",
    model_col: Annotated[str, typer.Option(help="Column of model names.")] = "model",
    family_col: Annotated[str, typer.Option(help="Column of families.")] = "family",
    params_col: Annotated[str, typer.Option(help="Column of parameters.")] = "params",
    tokens_col: Annotated[
        str, typer.Option(help="Column of training tokens; none if there is none.")
    ] = "tokens",
    units: Units = "",
    hold_out: Annotated[
        list[str], typer.Option(metavar="MODEL", help="Model the law may not see; may be repeated.")
    ] = [],  # noqa: B006
    choices: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="CHOICE=VALUE",
            help="Structural choice of the law, such as skills=3 or feature=c4; may be repeated.",
        ),
    ] = [],  # noqa: B006
    covariate: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN=KIND",
            help="Column of a covariate of the models: numeric, category, or its levels in order, "
            "as in stage=base<sft<chat; may be repeated.",
        ),
    ] = [],  # noqa: B006
    loss: Annotated[
        list[str],
        typer.Option(
            metavar="DOMAIN=COLUMN:UNIT",
            help="Column of losses, in nats/token or bits/byte; may be repeated.",
        ),
    ] = [],  # noqa: B006
    mixture: Annotated[
        list[str],
        typer.Option(
            metavar="SOURCE=COLUMN",
            help="Column of a source's share of the training data; may be repeated.",
        ),
    ] = [],  # noqa: B006
    staged: Annotated[
        bool, typer.Option("--staged", help="Fit the steps of a law with losses apart.")
    ] = False,
    chance: Annotated[
        list[str],
        typer.Option(metavar="BENCHMARK=LEVEL", help="Score of guessing; may be repeated."),
    ] = [],  # noqa: B006
    items: Annotated[
        list[str], typer.Option(metavar="BENCHMARK=N", help="Number of items; may be repeated.")
    ] = [],  # noqa: B006
    trust_scales: Annotated[
        bool,
        typer.Option(
            "--trust-scales", help="Accept scores on mixed scales, and scores below chance."
        ),
    ] = False,
    seed: Seed = 0,
    draws: Draws = 1000,
    warmup: Warmup = 1000,
    chains: Chains = 4,
    target_accept: Annotated[
        float, typer.Option(help="Acceptance that steps are adapted to.")
    ] = 0.9,
    max_tree_depth: Annotated[int, typer.Option(help="At most 2^this steps a draw.")] = 10,
    retries: Annotated[
        int, typer.Option(help="How often chains go on where a convergence check fails.")
    ] = 2,
    json: Json = False,
) -> None:
    """Fit a law to a table of scores, and save the fit.

    Number of items and chance level of a benchmark with a well-known name are looked up.

    \b
    Example:
      scalebayes fit auto scores.csv --benchmarks mmlu,gsm8k --out fit.nc
      scalebayes fit sloth scores.csv --benchmarks mmlu,gsm8k \\
          --units params=1e9,tokens=1e12 --out fit.nc
      scalebayes fit ladder runs.csv --benchmarks mmlu,piqa \\
          --loss c4=c4_loss:nats/token --set feature=c4 --out ladder.nc
    """
    import scalebayes as sb
    from scalebayes.cli import inputs, laws, options
    from scalebayes.evaluation.heldout import holds_out
    from scalebayes.report.summary import about, headline

    covariates = options.covariates(covariate)
    if law == AUTO and (choices or staged):
        raise ValueError("auto chooses the law: leave out --set and --staged, or name a law")
    made = None if law == AUTO else laws.make(law, choices, covariates)
    names = {"model": model_col, "family": family_col, "params": params_col, "tokens": tokens_col}
    observations, notes = inputs.observations(
        table,
        benchmarks,
        names,
        losses=options.losses(loss),
        mixtures=options.mixtures(mixture),
        units=options.factors("--units", [units]),
        chance=options.factors("--chance", chance),
        items=options.factors("--items", items),
        covariates=covariates,
        trust_scales=trust_scales,
    )
    if hold_out:
        observations.only(models=hold_out)  # refuses unknown names before anything is done
    for line in notes:
        note(line)
    note(f"fitting {observations}")
    sampler = sb.Nuts(
        draws=draws, warmup=warmup, chains=chains, target_accept=target_accept,
        max_tree_depth=max_tree_depth, retries=retries,
    )  # fmt: skip
    progress = shows_progress(json)
    if made is None:
        best = sb.fit_best(
            observations, most=1, seed=seed, sampler=sampler, hold_out=hold_out, progress=progress
        )
        [chosen] = best.parts
        fit = chosen.fit
        note(f"auto: {chosen.name}")
        if best.evidence is not None:
            means = best.evidence.drop(columns="model").mean().sort_values(ascending=False)
            listed = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
            note(
                f"mean log predictive density of a score of {len(best.evidence)} larger models: {listed}"
            )
    else:
        fit = sb.fit(
            made, observations, seed=seed, sampler=sb.Staged(sampler) if staged else sampler,
            hold_out=hold_out, progress=progress,
        )  # fmt: skip
    fit.save(out)
    compared = {of: judged(sb.held_out(fit, of=of, seed=seed)) for of in holds_out(fit)}
    if json:
        keys = {"score": "predictions", "loss": "predicted_losses"}
        print_answer(
            fit, {"file": str(out), **about(fit), **{keys[k]: t for k, t in compared.items()}}
        )
        return
    for table_of in compared.values():
        print_held_out(table_of)
        print()
    print(f"{headline(fit)}\nfit: {out}")
