# %% [markdown]
# # The ladder: two steps, one posterior
#
# *Loss first, accuracy second: where does the uncertainty of a prediction come from?*
#
# Accuracy of small models says little: on many tasks they guess. Their *loss* falls smoothly from
# the start. Bhagia et al. (2024) therefore go in two steps. A ladder of sixteen small runs, 190
# million to 1.3 billion parameters, tells how a loss falls with size and tokens (step 1), and how
# accuracy follows the loss (step 2). Put in a row, they predicted two runs of 7 and 13 billion
# parameters, on 83 and 200 times the training compute of the largest small run.
#
# The paper fits each step by least squares and plugs the first into the second. We fit both as
# one model, and ask three things: what does each step contribute to the interval of a large run?
# What does a joint fit know that two fits do not? And which loss should drive accuracy, when the
# paper itself could not say?

# %%
import os

import pandas as pd

import scalebayes as sb
from scalebayes import plots
from scalebayes.evaluation import scoring

sampler = sb.Nuts(
    draws=int(os.environ.get("SCALEBAYES_DRAWS", 800)),
    warmup=int(os.environ.get("SCALEBAYES_WARMUP", 600)),
    chains=int(os.environ.get("SCALEBAYES_CHAINS", 4)),
    target_accept=0.98,
)

# %% [markdown]
# ## The runs
#
# Four sizes, each trained on one, two, five and ten times the tokens that are compute-optimal.
# The two large ones are hidden from everything that follows; it is they that we want to predict.

# %%
ladder = sb.datasets.olmo_ladder()
large = ["7b-4t", "13b-5t"]
ladder.models[["model", "params", "tokens", "flops"]].tail(6)

# %% [markdown]
# Each run has its loss on C4, a corpus of web text, and for each task the loss on the *right
# answer*, in bits per byte. Either may drive accuracy: `Ladder()` takes each task's own,
# `Ladder(feature="c4")` takes the loss on C4 for all. We fit both at once, since `fit_average`
# will need both; how it weighs them comes last.

# %%
laws = {"task losses": sb.Ladder(), "C4 loss": sb.Ladder(feature="c4")}
average = sb.fit_average(laws, ladder, seed=1, hold_out=large, sampler=sampler, progress=False)
for name, fit in average.fits.items():
    print(f"{name}: {fit.verdict}")
c4 = average.fits["C4 loss"]

# %% [markdown]
# (If there are warnings above that no verdict repeats, they are of fits to the smallest runs
# alone, which only serve the weights.)
#
# ## Two steps
#
# ARC-Challenge, by the loss on C4. Left: the loss along training compute. Middle: accuracy along
# the loss, which falls to the right. Right: both in a row, which is what one wants to know.

# %%
tasks = ["arc_challenge", "hellaswag"]
steps = {task: sb.two_steps(c4, task, fixed=380.0, span=(3e18, 1e24)) for task in tasks}
_ = plots.two_steps(*steps["arc_challenge"])

# %% [markdown]
# The curves are for 380 tokens per parameter, those of the larger hidden run. Most small runs had
# fewer and are pale. Up to about 2e21 FLOPs there are data; beyond, there is the form of the law,
# and its own estimate of how far it may stray: bands open with the distance from the last run, on
# the left and in the middle.
#
# Look at the open circles, the hidden runs. On the left they lie above the line: their loss fell
# less than expected. In the middle, where their loss is given, they lie about on it. On the right
# the error of the left has been passed on.
#
# ## Chained error
#
# How much of the final interval is step 1? Compare accuracy at a loss that is *known* with
# accuracy at a compute budget. First the middle panel, near the losses of the two hidden runs:

# %%
known = pd.concat([s.accuracy for s in steps.values()])
known = known[known["loss"].between(2.42, 2.50)]
known[["benchmark", "loss", "median", "sd", "lower_90", "upper_90"]].round(3)

# %% [markdown]
# Now the right panel, near their compute:

# %%
chained = pd.concat([s.chained for s in steps.values()])
chained = chained[chained["flops"].between(1.4e23, 4.2e23)]
chained[["benchmark", "flops", "median", "sd", "lower_90", "upper_90"]].round(3)

# %% [markdown]
# Look at `sd`. On HellaSwag a known loss would leave much less of it: most is step 1, as many
# items and a smooth curve have settled step 2. On ARC-Challenge, whose runs have only begun to
# rise, a good part is left even if the loss is known: that is step 2. And step 1 is a matter of a
# few percent:

# %%
loss = steps["hellaswag"].loss
loss = loss[loss["flops"].between(1.4e23, 4.2e23)]
loss[["flops", "domain", "median", "sd", "lower_90", "upper_90"]].round(3)

# %% [markdown]
# An error of a few percent in a loss is small for a forecast of losses, and costs several points
# of accuracy where step 2 is steep. A method that plugs in one number for the loss leaves this
# out, and promises too much.
#
# ## One posterior, or two
#
# `sb.Staged` fits the steps apart, as the papers do: losses tell step 1, scores tell step 2,
# and no score may correct a loss (a *cut posterior*). One fit of both lets scores speak of step 1
# wherever losses do not. Here every run has all its losses.

# %%
staged = sb.fit(
    laws["C4 loss"], ladder, seed=1, hold_out=large, sampler=sb.Staged(sampler), progress=False
)
print(staged.verdict)

# %%
held = [sb.held_out(c4, name="joint"), sb.held_out(staged, name="staged")]
found = pd.concat([scoring.scores(h) for h in held])
found = found.assign(model=found["model"] + ", " + found["fold"])
_ = plots.interval_panels(found.sort_values("model", kind="stable"), columns=4)

# %% [markdown]
# The pairs are hard to tell apart, and they should be: where each run's loss is observed, it
# screens step 2 off from step 1, and cutting the posterior costs nothing. A joint fit earns its
# keep where losses are missing, as for models of other people. What matters more than joint or
# staged is that *both* carry the uncertainty of step 1 into step 2. Plugging in one number for
# the loss does not, and nor does a fit by least squares tell how far the curve itself may be off.
#
# ## Which loss?
#
# Two laws, both plausible, and their answers differ:

# %%
held = [sb.held_out(fit, name=name) for name, fit in average.fits.items()]
found = pd.concat([scoring.scores(h) for h in held])
found = found.assign(model=found["model"] + ", " + found["fold"])
_ = plots.interval_panels(found.sort_values("model", kind="stable"), columns=4)

# %% [markdown]
# We must not choose by this picture: it shows the answer. What may be used are the small runs.
# `fit_average` predicts the third and the fourth size from the smaller ones, with each law, and
# takes the joint density of all scores of that size. That is two pieces of evidence, and not
# thirty-two, because runs of one size err together.

# %%
average.evidence.round(1)

# %%
pd.Series(average.weights, name="weight").round(2).to_frame()

# %% [markdown]
# The weights are the posterior mean of stacking. Even a law that was better both times does not
# get all: two sizes cannot rule the other out. Now the prediction:

# %%
prediction = sb.predict(average, ladder.only(models=large))
observed = ladder.scores[["model", "benchmark", "score"]].rename(columns={"score": "observed"})
prediction = prediction.merge(observed, on=["model", "benchmark"])
_ = plots.interval_panels(prediction, columns=2)

# %%
columns = ["model", "benchmark", "observed", "median", "lower_90", "upper_90"]
prediction[columns].round(3)

# %% [markdown]
# Where the laws disagree, the mixture is wider than either, as it ought to be, and holds scores
# that one of them missed: each law was too sure of itself, and they erred in different
# directions. That cannot be counted on. It is what averaging is for.

# %% [markdown]
# ## Answer
#
# **Where does the uncertainty come from?** From both steps, and which prevails depends on the
# task. Where small runs have shown how accuracy follows the loss, it is the loss of the large run
# that is in doubt: a longer run, or a checkpoint of the large one, tells most. Where accuracy has
# only begun to rise, step 2 is in doubt: only a run with a lower loss helps.
#
# **Joint or staged?** With all losses measured it makes little difference. With some missing,
# joint.
#
# **Which loss?** Both, weighted by what they predicted among the small runs, decided before the
# large ones are looked at.
#
# What this does not show: two large runs of one recipe are two cases, and they err together. And
# the intervals presume that the recipe stays what it was; a new data mix for the last tokens of a
# run, as is now common, is not in any of the sixteen.
