"""The ladder of OLMo: its two targets, each rung from the smaller ones, and runs of half the smallest multiple.

Data from https://github.com/allenai/OLMo-ladder, Apache-2.0.
"""

import pandas as pd

import scalebayes as sb
from benchmarks.ladder_protocol import LAWS, TARGETS
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold
from scalebayes.prediction.averaging import sizes

ROLE = "development"
LADDERS = {f"Ladder, {name} loss": law for name, law in LAWS.items()}


def small_runs() -> sb.Observations:
    """Sixteen runs of 190M to 1.3B."""
    return sb.datasets.olmo_ladder().without(models=TARGETS)


def from_smaller_sizes(observations: sb.Observations) -> list[Fold]:
    """Each size from the third, with all larger ones."""
    names = [tuple(own) for _, own in sizes(observations)]
    return [
        Fold(f"size {n + 1}", tuple(m for own in names[n:] for m in own))
        for n in range(2, len(names))
    ]


def targets() -> Table:
    """The published protocol: 7B and 13B from the small runs."""
    fold = Fold("7B and 13B", tuple(TARGETS))
    return Table(sb.datasets.olmo_ladder(), [fold], LADDERS)


def rungs() -> Table:
    """The third and the fourth size of the small runs, each with all larger ones, from the smaller."""
    observations = small_runs()
    return Table(observations, from_smaller_sizes(observations), LADDERS)


def extra() -> Table:
    """Runs of half the smallest multiple of tokens from the small runs and their repeats."""
    rows = pd.read_csv(use_data("olmo_ladder") / "extra_runs.csv").rename(columns={"run": "model"})
    small = small_runs()
    facts = small.scores.drop_duplicates("benchmark").set_index("benchmark")
    [family] = small.families
    scores = rows.rename(columns={"task": "benchmark", "accuracy": "score"})
    scores = scores[["model", "benchmark", "score"]].join(
        facts[["n_items", "chance"]], on="benchmark"
    )
    of_tasks = rows.rename(columns={"task": "domain", "task_loss": "loss"}).assign(unit="bits/byte")
    of_c4 = rows.drop_duplicates("model").rename(columns={"c4_loss": "loss"})
    losses = pd.concat([of_tasks, of_c4.assign(domain="c4", unit="nats/token")])
    models = rows.drop_duplicates("model")[["model", "params", "tokens"]].assign(family=family)
    extra = sb.Observations(
        models, scores, losses[["model", "domain", "loss", "unit"]], scales="trust"
    )
    observations = sb.Observations.concat(small, extra)
    hidden = tuple(m for m in models["model"] if "0.5xc" in m)
    return Table(observations, [Fold("half a multiple", hidden)], LADDERS)


TABLES = {"ladder_targets": targets, "ladder_rungs": rungs, "ladder_extra": extra}
