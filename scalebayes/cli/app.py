"""The command line: the package's verbs from a shell. What is slow to import waits for its verb."""

from __future__ import annotations

import sys

import typer

from scalebayes.cli import data, demo, evaluate, fit, laws, plan, predict
from scalebayes.cli.errors import run

app = typer.Typer(
    help="How accurate a model not yet trained will be, and how sure we are.",
    epilog="Example: scalebayes demo. Each verb has its own: scalebayes fit --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
public = typer.Typer(
    help="Public data sets, as the tables that the package and its benchmarks read.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
questions = typer.Typer(
    help="Questions asked before training: which model, which budget, which run next.",
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
