# %% [markdown]
# # Planning a run
#
# *What to train, with which budget, and which small run first?*
#
# There is a recipe, and a ladder of sixteen small runs that were trained by it, on up to 2e21
# FLOPs. There may be up to **2e23 FLOPs** for one large run, a hundred times more. It is a
# success if the model reaches 45% on MMLU, 80% on HellaSwag and 60% on ARC-Challenge, all three,
# and before it starts we want to be four-fifths sure.
#
# A decision needs more than a forecast: chances, a price for each deviation from the plan, and an
# idea of what would be learned by waiting. All of them are questions to one posterior. Two large
# runs of this recipe exist; they are hidden, and one of them serves as a check at the end.

# %%
import os

import numpy as np
import pandas as pd

import scalebayes as sb
from scalebayes import plots

sampler = sb.Nuts(
    draws=int(os.environ.get("SCALEBAYES_DRAWS", 800)),
    warmup=int(os.environ.get("SCALEBAYES_WARMUP", 600)),
    chains=int(os.environ.get("SCALEBAYES_CHAINS", 4)),
    target_accept=0.95,
)

# %% [markdown]
# Notebook 4 explains the law. Here it is the one with the loss on C4; every function below takes
# an average of laws in its place.

# %%
ladder = sb.datasets.olmo_ladder()
fit = sb.fit(
    sb.Ladder(feature="c4"),
    ladder,
    seed=1,
    hold_out=["7b-4t", "13b-5t"],
    sampler=sampler,
    progress=False,
)
print(fit.verdict)

# %% [markdown]
# ## What are the chances?
#
# Four ways to spend about 1.6e23 FLOPs, from a small model on many tokens to a large one on few:

# %%
plans = pd.DataFrame(
    [("3B", 3e9, 9e12), ("7B", 7e9, 4e12), ("13B", 13e9, 2.1e12), ("32B", 32e9, 8.5e11)],
    columns=["model", "params", "tokens"],
).assign(family="olmo-ladder")
targets = {"mmlu": 0.45, "hellaswag": 0.80, "arc_challenge": 0.60}
chances = sb.target_probability(fit, plans, targets)
chances.pivot(index="model", columns="benchmark", values="probability").loc[plans["model"]].round(2)

# %% [markdown]
# `all` is the chance of all three at once. It is hardly smaller than that of the hardest target,
# and larger than the product of the three, as the smallest model shows best: what makes one
# target fail, a loss that falls less than it should, makes the others fail too. Whoever
# multiplies is too gloomy.
#
# ## Over all sizes and token counts

# %%
chart = sb.target_map(
    fit,
    "olmo-ladder",
    targets,
    params=np.geomspace(1e9, 1e11, 17),
    tokens=np.geomspace(2e11, 2e13, 17),
)
_ = plots.target_map(chart, title="All three targets")

# %% [markdown]
# Walk along a dashed line, of equal compute: chances rise from left to right, steeply at first
# and then hardly, until the lines of equal probability run along it. Walk across: from unlikely
# to likely it takes about a decade of compute. That width is our ignorance; had we known the law,
# it would be a cliff.
#
# ## The smallest budget

# %%
seen = sb.smallest_budget(fit, "olmo-ladder", targets, probability=0.8)
print(seen)

# %% [markdown]
# "At an end of the range" is a warning. Only as many tokens per parameter were considered as the
# ladder has seen, 20 to 200, and the cheapest model has the fewest of them. So it may be cheaper
# yet outside, where the law is extrapolated in a second direction. Asked for:

# %%
cheapest = sb.smallest_budget(
    fit, "olmo-ladder", targets, probability=0.8, tokens_per_param=(2, 1000)
)
print(cheapest)

# %% [markdown]
# Is it worth it? A large model with few tokens is cheap to train and expensive to use. Suppose
# that ours will be used much, so that it should be small, with a hundred tokens per parameter at
# least:

# %%
lean = sb.smallest_budget(
    fit, "olmo-ladder", targets, probability=0.8, tokens_per_param=(100, 1000)
)
print(lean)

# %% [markdown]
# It lies at the end of its range, as that is the condition. Compare the two: some more training
# compute buys a model of less than half the size.
#
# ## What does it cost to be off?
#
# `allocate` finds at each posterior draw the size that is best for a budget. Where draws agree,
# the data tell how to divide it. Where they do not, one would like to know whether it matters,
# and that is the *price*: how much expected score (mean over the eight benchmarks) one gives
# away.

# %%
division = sb.allocate(fit, "olmo-ladder", [2e21, 2e22, 2e23], tokens_per_param=(2, 1000))
_ = plots.allocation(division.prices, division.region, of="mean score")

# %%
division.best.round(4)

# %% [markdown]
# Bars below: the best size is known to a factor of three or four, no better. Curves: it hardly
# matters, for the price is small in a wide range around it. It rises for models that are much too
# small for their compute. The best ratios of tokens to parameters are below all that the ladder
# has seen, so that their place rests on the form of the law; that the curve is flat from there to
# where the runs are does not. So: choose the size for its use, and pay attention to the budget.
#
# ## Is larger better?
#
# For the plans above, which all cost the same:

# %%
contest = sb.beats(fit, plans)
contest[contest["benchmark"].isin(["arc_challenge", "all"])].round(3)

# %% [markdown]
# `probability` is that of `model` scoring higher than `rival`; `all` is the mean over benchmarks.
# Intervals of two plans overlap widely and still it can be clear which of them wins, since what
# is unknown of the law moves both alike. Overlap of intervals is no argument. The difference, on
# the other hand, may be sure and too small to care for.
#
# ## Which small run first?
#
# Before the large run starts, one more small one could make the forecast sharper. Which? Those
# below cost 0.5 to 3% of the budget.

# %%
candidates = pd.DataFrame(
    [
        ("760M, 1T", 760e6, 1e12),
        ("1.3B, 500B", 1.3e9, 5e11),
        ("3B, 60B", 3e9, 6e10),
        ("3B, 300B", 3e9, 3e11),
        ("7B, 140B", 7e9, 1.4e11),
    ],
    columns=["model", "params", "tokens"],
).assign(family="olmo-ladder")
wanted = plans[plans["model"] == "13B"]
ranking = sb.next_run(fit, candidates, wanted)
ranking.drop(columns=["family", "params", "tokens"]).round(4)

# %% [markdown]
# `sd_after` is the standard deviation that the mean score of the 13B model would have once the
# candidate is evaluated, averaged over what it may show. `information` is the same in nats, with
# its Monte Carlo error. The order is by information per FLOP. Sizes that the ladder has already
# tell less per FLOP, however long they are trained: a loss hardly lower than those it has seen is
# no news. But per FLOP is not all. A run that costs next to nothing may come first and leave the
# forecast as it was: `sd_after` says so. What counts is a good place in the order and a
# `sd_after` that is worth waiting for.
#
# ## What it was
#
# One plan was carried out: `7b-4t`. Its chances stood in the row `7B` of the first table. All
# three targets were met, two of them narrowly:

# %%
found = ladder.only(models=["7b-4t"], benchmarks=list(targets)).scores
found.assign(target=found["benchmark"].map(targets))[["model", "benchmark", "score", "target"]]

# %% [markdown]
# ## Answer
#
# **What:** the model that `lean` names, with a hundred tokens per parameter. Its training costs
# more than the cheapest's, it is less than half as large, and its chances are the same
# four-fifths.
#
# **Which budget:** that of `lean`. It is within the 2e23 FLOPs there are. Whoever wants to be
# surer should look at the map: the line of 95% lies far from that of 80%, and 2e23 FLOPs do not
# buy it.
#
# **First:** 7B on 140 billion tokens, for 3% of the budget. Per FLOP it is near the top of the
# ranking, and it leaves the smallest `sd_after` of all, about a quarter less than before. The
# smallest 3B run may stand above it: it is cheap, and tells little. After it, fit again:
# four-fifths will have become more, or less, before the large sum is spent.
#
# What this does not know: whether the recipe stays the same, whether it trains stably at that
# size, what tokens cost where there are no more, and laws of another form, of which notebook 4
# averages two.
