"""The command line. Verbs import slow libraries when they run, so that --help is fast."""

from __future__ import annotations

import sys

import typer

from scalebayes.cli import data, demo, evaluate, fit, laws, plan, predict
from scalebayes.cli.errors import run

app = typer.Typer(
    help="Bayesian scaling laws: predict models before they are trained, with intervals.",
    epilog="Example: scalebayes demo. For the options of a verb: scalebayes fit --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
public = typer.Typer(
    help="Public data sets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
questions = typer.Typer(
    help="Decisions before training: which model, which budget, which run next.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

for verb in (
    demo.demo,
    fit.fit,
    laws.laws,
    predict.predict,
    predict.mixture,
    predict.summary,
    predict.skills,
    evaluate.report,
    evaluate.plot,
    evaluate.compare,
):
    app.command()(verb)
app.add_typer(questions, name="plan")
for question in (plan.chance, plan.budget, plan.allocation, plan.contest):
    questions.command()(question)
questions.command("next")(plan.next_run)
app.add_typer(public, name="data")
public.command()(data.get)


def main() -> None:
    """Run the command line."""
    sys.exit(run(app))
