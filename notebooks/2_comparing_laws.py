# %% [markdown]
# # Comparing laws
#
# *Which law should predict the larger models, and does leave-one-out tell?*
#
# Several laws fit a table about equally well, and part ways beyond it. The usual way to choose is
# leave-one-out: hide each score in turn, and ask each law for its density. That is cheap, as one
# fit per law suffices, and seems precise, as there are many scores. But it answers a question that
# nobody asked. A score that is left out has neighbours: the same model on other benchmarks, the
# next larger and the next smaller model of its family. A model that has yet to be trained has
# none of them above it.
#
# `sb.compare` puts either question to the same fits. We do so on two tables. On the first, both
# questions lead to the same law, though one of them is far too sure of it. The second has one family
# only, and we can look at what came.

# %%
import os

import pandas as pd

import scalebayes as sb
from scalebayes import plots
from scalebayes.evaluation import scoring

sampler = sb.Nuts(
    draws=int(os.environ.get("SCALEBAYES_DRAWS", 1000)),
    warmup=int(os.environ.get("SCALEBAYES_WARMUP", 1000)),
    chains=int(os.environ.get("SCALEBAYES_CHAINS", 2)),
    target_accept=0.95,
)

# %% [markdown]
# ## Three laws of one table
#
# - *compute*: training compute alone drives each benchmark, the same in all families;
# - *skills*: size and tokens drive two skills, which benchmarks share and on which families
#   differ. The curve from skill to score has one trainable bend a benchmark;
# - *logistic skills*: the same with a logistic curve, which is the published one, and stiffer.

# %%
families = ["pythia", "opt", "llama-2", "falcon", "bloom", "yi-1.5", "gemma-2"]
names = ["mmlu", "arc_challenge", "hellaswag", "gsm8k"]
table = sb.datasets.open_llm().only(families=families, benchmarks=names)
laws = {
    "compute": sb.SharedIntercept(),
    "skills": sb.Sloth(),
    "logistic skills": sb.Sloth(link="logistic"),
}
fits = {
    name: sb.fit(law, table, seed=1, sampler=sampler, progress=False) for name, law in laws.items()
}
for name, fit in fits.items():
    print(f"{name}: {fit.verdict}")

# %% [markdown]
# ## Leave out a score
#
# Nothing is fitted again: draws are reweighted as if a score had not been seen (Pareto-smoothed
# importance sampling), and where that cannot tell, moved to where they would lie without it. `elpd`
# sums the log densities of all scores, each left out in its turn; higher is better. `elpd_diff` is
# the distance to the best law, `dse` its standard error.

# %%
columns = ["elpd", "elpd_diff", "dse", "weight", "warning", "pieces", "failed"]
by_score = sb.compare(fits, by="score", refit=False)
by_score.table[columns].round(2)

# %% [markdown]
# `warning` says that for some score reweighting cannot be believed: its Pareto k is large, as that
# score alone has moved the posterior a good deal. The largest k of the best law:

# %%
first = by_score.table.index[0]
by_score.pareto_k.set_index("fold").nlargest(5, first).round(2)

# %% [markdown]
# They belong to scores that have no other like them, often at an end of a family. This is a
# first hint: *where prediction leads out of the table, leave-one-out sees least*. With
# `refit=True`, the default, `compare` fits again without each such score; we spare us these fits.
#
# ## Leave out a model
#
# Now all scores of a model at a time. Its other benchmarks can no longer help; its larger siblings
# still can.

# %%
by_model = sb.compare(fits, by="model", refit=False)
by_model.table[columns].round(2)

# %% [markdown]
# ## Leave out the larger
#
# The question that we have: of each family in turn only the two smallest sizes stay, and all
# larger ones are predicted. What counts is the joint density of all their scores, because they err
# together, so that a family is one piece of evidence. Each takes a refit.

# %%
larger = sb.compare(fits, keep=[2])
larger.table[columns].round(2)

# %% [markdown]
# The order is the same, and so is the choice. But compare `elpd_diff` with `dse`, for *compute*,
# here and above: what was many standard errors is now a few. Leave-one-out takes each score for a
# new piece of evidence, while seven families are all there is. (`failed` counts refits that do not
# pass every check. A count near that of the pieces asks for more draws.)

# %%
larger.evidence.round(1)

# %% [markdown]
# Here is where the difference was made: *skills* leads in nearly every family. A sum that rested on
# one of them would be no good reason to prefer a law.
#
# ## Do the intervals hold?
#
# The best law can still promise too much. Errors and coverage by how far a model lies past the
# largest that was seen of its family, in decades of compute:

# %%
best = larger.table.index[0]
held = {name: larger.held[name] for name in (best, "compute")}
shown = ["scores", "error", "crps", "width_90", "coverage_50", "coverage_90"]
rows = {k: sb.calibration(h, by="distance").set_index("distance")[shown] for k, h in held.items()}
pd.concat(rows).round(2)

# %%
found = held[best]
_ = plots.calibration(
    scoring.scores(found),
    scoring.coverage(found),
    scoring.pit_ecdf(found),
    sb.calibration(found, by="distance"),
)

# %% [markdown]
# That is what one wants to know of a law, and leave-one-out has no such table: it has no distances.
# *compute* errs more the further it goes, and its intervals, though wide, hold fewer scores there.
# If intervals hold too few, the cause may be a law that is too stiff, and a better law is the
# remedy. The last resort is to ask for another probability, one with which 90% of the scores left
# out would have been inside: more than 90% where intervals were too narrow, less where they were
# too wide.

# %%
print(f"to hold 90%, ask {best} for intervals of {sb.conformal_prob(found, 0.9):.1%}")

# %% [markdown]
# ## A single family
#
# The second table is a ladder of sixteen small runs of one recipe, and two large ones with 83 and
# 200 times the compute, which we hide. The same three laws; with a single family there is one
# skill, and nothing to tell families apart by.

# %%
ladder = sb.datasets.olmo_ladder()
runs = sb.Observations(ladder.models, ladder.scores)
single = {"skills": 1, "family_slopes": False, "deviations": False}
laws = {
    "compute": sb.SharedIntercept(),
    "skill": sb.Sloth(**single),
    "logistic skill": sb.Sloth(link="logistic", **single),
}
hidden = ["7b-4t", "13b-5t"]
fits = {
    name: sb.fit(law, runs, seed=1, hold_out=hidden, sampler=sampler, progress=False)
    for name, law in laws.items()
}
for name, fit in fits.items():
    print(f"{name}: {fit.verdict}")

# %%
by_score = sb.compare(fits, by="score", refit=False)
by_score.table[columns].round(2)

# %%
larger = sb.compare(fits, keep=[2, 3], method="stacking")
larger.table[columns].round(2)

# %%
larger.evidence.round(1)

# %% [markdown]
# To leave-one-out *compute* is plainly worst, by several standard errors. Ask for the larger
# models, and there is no error to set the difference against: all runs are of one family, and what
# its two folds ask about overlaps, so that they are one of the `pieces`.
#
# The folds themselves say more than their mean. *compute* is behind in both by about as much, over
# 64 scores from two sizes and over 32 from three: the more a law has seen, the clearer it gets. What
# is true of leave-one-out is true of every comparison: *it tells which law is best with as much as
# it had seen*. Leave-one-out has always seen nearly all there is, on every side. With two sizes a
# law has seen less than we shall give it when it counts, which is all four. So read the folds as a
# trend, the last as the most to the point. (`warning` says that some of these densities rest on few
# draws, and may be off by a unit or so.)
#
# Which curve, logistic or with a bend? Neither question tells: inside the table both curves run
# through the same scores.
#
# Now the hidden runs, from all four sizes. `log_score` is the joint log density of their scores,
# with its Monte Carlo error beside it. An error near one says that a handful of draws foresaw all
# sixteen scores, and that the density may be higher than it seems.

# %%
held = {name: sb.held_out(fit, name=name) for name, fit in fits.items()}
folds = pd.concat([h.folds for h in held.values()])[["fold", "log_score", "log_score_se"]]
rows = pd.concat([sb.calibration(h).assign(fold=k) for k, h in held.items()])
shown = ["error", "bias", "width_90", "coverage_50", "coverage_90"]
folds.merge(rows[["fold", *shown]], on="fold").round(2)

# %% [markdown]
# The trend went on, and both questions had been right about *compute*. And all laws have a bias of
# one sign: two runs of one recipe err together, and are one case rather than sixteen. (For a ladder
# there are better laws than these, which go through the loss: notebook 4.)
#
# ## The average
#
# One need not choose. `weights` are shares in an average; `sb.average` takes the place of a fit in
# predictions, and its intervals widen where laws disagree. By default weights are those of
# pseudo-BMA, which go to one law where it is clearly best, as on the first table. For the ladder we
# have asked for `method="stacking"`: it begins with equal shares and has to be talked out of them
# by the evidence, of which there is one piece.

# %%
average = sb.average(fits, larger.weights)
truth = ladder.only(models=["13b-5t"])
observed = truth.scores[["benchmark", "score"]].rename(columns={"score": "observed"})
answers = {**fits, "average": average}
rows = [
    sb.predict(f, truth).merge(observed, on="benchmark").assign(model=k) for k, f in answers.items()
]
_ = plots.interval_panels(pd.concat(rows), columns=2)
print({name: round(weight, 2) for name, weight in average.weights.items()})

# %% [markdown]
# ## Answer
#
# **Which law?** On the table of families the one with skills, by every question. On the ladder an
# average: one piece does not tell more.
#
# **Does leave-one-out tell?** It tells how well a law fills gaps. Where laws differ much, as on the
# first table, any way to ask will do, and leave-one-out is cheap. Where they differ little it is
# sure of what it cannot know: it counts scores, and it has seen both sides of each. To prefer one
# law for a prediction beyond the table,
#
# - ask for what you will use: `compare` leaves out the larger by default;
# - count pieces, not scores: a family is one;
# - look at the folds, not at their mean alone: the ones that had seen most are closest to your
#   question;
# - do not take a small lead for a choice: average, with the weights;
# - look at intervals by distance before you believe the winner. The best of several laws may
#   still be too sure.
#
# **What this cannot tell.** The models left out here lie up to a few decades of compute past what
# was seen. If yours is further, it is the form of the law that speaks, and no comparison on these
# tables has examined it.
