# %% [markdown]
# # Identifiability: what a fit can say, and what it cannot
#
# *Which parameters do the data tell, which does the prior, and what would have to be added?*
#
# A Bayesian fit always answers. Ask for the effect of training tokens where every family was
# trained on one number of tokens, and there will be a posterior: the prior's, under another name.
# A sampler that converged does not help; it has found the posterior well, whatever that is made
# of.
#
# So each parameter must be asked what it owes to whom. We shall take a table with holes, see
# which parameters fall into them, fill the holes, and see whether they come out. Three holes are
# common: a floor that no model comes near, families with a single token budget, and runs that
# span too little compute to tell an exponent from an irreducible loss. A fourth matter, the
# rotation of skills, looks like a hole and is none.

# %%
import os

import matplotlib.pyplot as plt
import pandas as pd

import scalebayes as sb
from scalebayes import plots
from scalebayes.evaluation import scoring
from scalebayes.skills import skills

sizes = {
    "draws": int(os.environ.get("SCALEBAYES_DRAWS", 1500)),
    "warmup": int(os.environ.get("SCALEBAYES_WARMUP", 1000)),
    "chains": int(os.environ.get("SCALEBAYES_CHAINS", 4)),
}

# %% [markdown]
# ## A table with holes
#
# Fourteen families, five benchmarks. The first seven families have one token budget each; the
# others have several. At first we use only the first seven, and of these no model under six
# billion parameters.

# %%
one = ["opt", "pythia", "llama-2", "llama-3.1", "yi-1.5", "xglm", "deepseek-coder"]
several = ["falcon", "qwen1.5", "gemma-2", "cerebras-gpt", "smollm", "stablelm", "llama"]
names = ["mmlu", "arc_challenge", "hellaswag", "winogrande", "gsm8k"]
table = sb.datasets.open_llm().only(families=one + several, benchmarks=names)
models = table.models.set_index("model")
small = list(models.query("family in @one and params < 6e9").index)
others = list(models.query("family in @several").index)
sampler = sb.Nuts(**sizes)
fits = {
    "holes": sb.fit(
        sb.Sloth(), table, seed=1, hold_out=small + others, sampler=sampler, progress=False
    )
}
print(fits["holes"].verdict)

# %% [markdown]
# `identifiability` sets each parameter's posterior beside its prior. *Contraction* is the share
# of the prior's variance that the data have removed: near 1 they speak, near 0 the prior does
# (a little below 0 is the noise of a finite number of draws). From 0.75 on, the posterior is half
# as wide as the prior, and a parameter counts as identified.

# %%
told = {"holes": sb.identifiability(fits["holes"])}
groups, elements = told["holes"].groups, told["holes"].elements
_ = plots.prior_posterior(groups, elements, n_draws=told["holes"].n_draws)

# %% [markdown]
# Do not expect blue everywhere. Slopes of single families (`z`) stay at their prior because their
# prior *is* the population, which the data do tell (`B`): that is borrowing, and the purpose of a
# hierarchy. What two harnesses would give for one model (`sigma`) can only be seen where somebody
# ran two. But floors, and the effect of tokens, we would like to know. What the table itself
# lacks is listed, with what to add:

# %%
for line in told["holes"].lacking:
    print("-", line)

# %% [markdown]
# ## Floor against intercept
#
# Where HellaSwag begins to rise cannot be seen from models that have long left the ground. A
# higher floor with a lower intercept gives the same scores in the range where there are any.
# Hence the negative correlation between `gamma` (floor) and `b` (intercept) on the left; on the
# right, the direction of which the data tell least.

# %%
what = told["holes"]
_ = plots.open_direction(
    what.correlation, what.weights, "benchmark hellaswag", n_draws=what.n_draws
)

# %% [markdown]
# The correlation is no drama, because the prior knows something: a floor lies near the chance
# level. That is how it should be with a parameter the data cannot tell. It is honest as long as
# one *says* that it is the prior.
#
# The remedy in the list was to add models near the floor. We have hidden some; here they are:

# %%
fits["small models"] = sb.fit(
    sb.Sloth(), table, seed=1, hold_out=others, sampler=sampler, progress=False
)
print(fits["small models"].verdict)
told["small models"] = sb.identifiability(fits["small models"])
shown = ["contraction", "verdict"]
floors = {k: t.elements.query("site == 'gamma'").set_index("at")[shown] for k, t in told.items()}
pd.concat(floors, axis=1).convert_dtypes().round(2)

# %% [markdown]
# The floors are told where small models guess. Does it matter? Ask the fit with holes for those
# small models, which it has not seen (two families of them):

# %%
below = scoring.scores(sb.held_out(fits["holes"], table.only(models=small)))
_ = plots.intervals(below.query("benchmark == 'hellaswag' and family in ['pythia', 'opt']"))

# %% [markdown]
# The smaller the model, the further below its interval the score. Nothing was wrong with the
# sampler, nor with the scores it had. But down there the answer rests on the floor and on the
# shape of the curve above it. The list said of both that no score tells them, and what the priors
# supposed in their place was not so. *The intervals could not know, the list could.*
#
# Now the other end, a larger model of a family that both fits know:

# %%
asked = pd.DataFrame({"model": ["OPT of 100B"], "family": "opt", "params": 1e11, "tokens": 180e9})
columns = ["median", "lower_90", "upper_90"]
answers = {k: sb.predict(f, asked).set_index("benchmark")[columns] for k, f in fits.items()}
pd.concat(answers, axis=1).round(3)

# %% [markdown]
# Here floors are no concern, and the two fits differ by less than their intervals are wide. **A parameter that is not
# identified is a problem for the questions that depend on it, and for no others.**
#
# ## One token budget per family
#
# The second hole: no family has two token budgets. Tokens then differ only *between* families,
# together with data, recipe and year, and a family's intercept can explain whatever tokens could.
# The remedy is families with several budgets:

# %%
fits["and budgets"] = sb.fit(sb.Sloth(), table, seed=1, sampler=sampler, progress=False)
print(fits["and budgets"].verdict)
told["and budgets"] = sb.identifiability(fits["and budgets"])
of_tokens = "site == 'B' and input == 'tokens'"
slopes = {k: t.elements.query(of_tokens).set_index("benchmark")[shown] for k, t in told.items()}
pd.concat(slopes, axis=1).convert_dtypes().round(2)

# %%
for name, what in told.items():
    print(f"{name}:", *what.lacking, sep="\n  - ")

# %% [markdown]
# Each remedy has worked on what it was for: the reasons have left the list, one by one. (Small
# models have helped a little with tokens, too: where size is better known, less is left to tokens
# to explain. What identifies their effect is budgets that differ *within* families.)
#
# ## Skills can be turned
#
# `Sloth` explains five benchmarks by two skills. Which two? Turn their axes, turn the loadings
# back, and every score is what it was. No data can ever tell one from another. Two choices, both
# respectable:

# %%
turned = {r: skills(fits["and budgets"], rotation=r) for r in ("varimax", "oblimin")}
_ = plots.loadings(turned["varimax"].loadings)
_ = plots.loadings(turned["oblimin"].loadings)

# %%
across = pd.concat({r: s.correlations for r, s in turned.items()}, names=["rotation"])
across.reset_index()[["rotation", "across", "median", "lower_90", "upper_90"]].round(2)

# %% [markdown]
# Varimax, above, demands skills that are uncorrelated over models; oblimin, below, lets them
# correlate and gets simpler loadings. "Skill 1 is mathematics" is thus a statement about a
# rotation. Intervals in both pictures are narrow, which makes the trap a good one: they tell how
# well loadings are known *once axes are chosen*.
#
# Here the remedy is not data, but to ask only what no rotation changes: how much all skills
# together count on a benchmark (`lam length`), which benchmarks go together (`lam angle`), and
# what is predicted.

# %%
groups = told["and budgets"].groups.set_index("group").loc[["lam length", "lam angle"]]
groups[["phrase", "elements", "contraction", "worst", "verdict"]].round(2)

# %% [markdown]
# The same with predictions. The sampler has a convention of its own: the first benchmark of a
# table has no second skill. So let us turn the table, fit again, and look at one draw of each.

# %%
backwards = table.scores.iloc[::-1]
backwards = sb.Observations(table.models, backwards)
fits["backwards"] = sb.fit(sb.Sloth(), backwards, seed=1, sampler=sampler, progress=False)
print(fits["backwards"].verdict)
raw = [fits[k].tree["posterior"]["lam"][0, 0] for k in ("and budgets", "backwards")]
for one_draw in raw:
    print(one_draw.to_series().unstack().round(2))

# %%
both = {k: sb.predict(fits[k], asked) for k in ("and budgets", "backwards")}
pd.concat({k: t.set_index("benchmark")[columns] for k, t in both.items()}, axis=1).round(3)

# %% [markdown]
# The zero has moved from the first benchmark to the last, and with it every other loading of the
# second skill. Predictions differ by the noise of sampling.
#
# ## Exponents against irreducible loss
#
# The loss of a run is `E + A / N^alpha + B / D^beta`. In a narrow range of compute, a curve that
# levels off soon (large `E`) and steep (large exponents) looks like one that falls slowly for
# long. At the far end they part, and the far end is what one asks for. This time we take
# *simulated* losses, to know the truth: the sixteen small runs of the OLMo ladder, its two large
# ones, and six further ones, far smaller and far larger.

# %%
ladder = sb.datasets.olmo_ladder().only(domains=["c4", "hellaswag"])
sizes_of = [("8m", 8e6), ("40m", 4e7), ("30b", 3e10)]
tokens_of = [1.6e8, 1.6e9, 8e8, 8e9, 6e11, 6e12]
far = pd.DataFrame(
    [(f"{size}-{k}", params) for size, params in sizes_of for k in ("1x", "10x")],
    columns=["model", "params"],
).assign(tokens=tokens_of, family="olmo-ladder")
units = ladder.losses[["domain", "unit"]].drop_duplicates().assign(loss=1.0)
losses = pd.concat([ladder.losses, far[["model"]].merge(units, how="cross")])
runs = pd.concat([ladder.models[far.columns], far])
design = sb.Observations(runs, losses=losses)
made, truth = sb.simulate(sb.Ladder(), design, seed=10)

# %% [markdown]
# One fit to all of them, and one to the sixteen alone. Irreducible shares are shares of the loss
# at a middle size and token count; both fits are given the same middle.

# %%
wide = ["7b-4t", "13b-5t", *far["model"]]
finer = {"seed": 1, "sampler": sb.Nuts(**sizes, target_accept=0.995), "progress": False}
all_runs = sb.fit(sb.Ladder(), made, **finer)
sixteen = sb.fit(sb.Ladder(), made, hold_out=wide, reference=all_runs.reference, **finer)
print(f"sixteen runs: {sixteen.verdict}\nall runs: {all_runs.verdict}")

# %%
near, broad = (f.tree["posterior"].to_dataset().sel(domain="c4") for f in (sixteen, all_runs))
ax = plt.subplots(figsize=(6.5, 4), layout="constrained")[1]
x, y = "irreducible_share", "alpha"
ax.scatter(near[x], near[y], 6, "#D55E00", marker="o", alpha=0.25, label="sixteen runs")
ax.scatter(broad[x], broad[y], 6, "#0072B2", marker="x", alpha=0.25, label="all runs")
ax.scatter(truth[x][0], truth[y][0], 120, "black", marker="*", zorder=3, label="truth")
ax.set_xlabel("irreducible share of the loss on C4\nA point is a posterior draw.")
ax.set_ylabel("exponent of size, alpha")
_ = ax.legend(frameon=False, markerscale=1.5)

# %% [markdown]
# The ridge: from sixteen runs one learns what the two are *together*, not which is which. Longer
# runs alone would cut it at one end. In the words of the package, where `e` is the irreducible
# share of a typical loss (as a logit) and `r` the log ratio of the exponents:

# %%
told = {"sixteen": sb.identifiability(sixteen), "all": sb.identifiability(all_runs)}
some = "site in ['e', 'r', 'G']"
rows = {k: t.elements.query(some).set_index("name")[shown] for k, t in told.items()}
pd.concat(rows, axis=1).convert_dtypes().round(2)

# %%
print("sixteen:", *told["sixteen"].lacking, sep="\n  - ")
print("all:", *told["all"].lacking, sep="\n  - ")

# %% [markdown]
# The span of compute is off the list, `e` and `r` have moved up, and the cloud has shrunk around
# the truth. What is still on the list is still lacking: one family, and two losses, cannot tell
# how much families, or losses, differ. And `G`, how far reality may stray from any such curve,
# remains largely a matter of its prior. More runs of one recipe do not change that much.

# %% [markdown]
# ## Answer
#
# **What the data tell and what the prior tells** is a column of a table, `verdict`, and a reason
# with a remedy. In the cases above each remedy worked on its own complaint:
#
# | complaint | what was done | what was told then |
# |---|---|---|
# | no score near the floor | small models were added | floors |
# | no family has two token budgets | families with several were added | the effect of tokens |
# | runs span too few decades of FLOPs | smaller and larger runs were added | irreducible loss, ratio of exponents |
# | skills can be turned | nothing: no data can help | ask what no rotation changes |
#
# **Prior-driven is not wrong.** A floor near chance, a family like other families: this is what
# priors are for. But it has to be said, and one has to ask whether the question at hand depends
# on it. Predictions within the range of the data mostly do not; predictions beyond it do, and
# their intervals are then as good as the priors, as we saw with the small models.
#
# **What this cannot say.** Contraction judges parameters within the law. A law of the wrong form
# can have all of them identified and be wrong. Whether it predicts is the matter of notebook 2.
