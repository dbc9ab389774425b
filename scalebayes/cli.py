"""The command line: the package's verbs from a shell. What is slow to import waits for its verb."""

from __future__ import annotations

import sys

import typer

from scalebayes.shell import run
from scalebayes.verbs import asking, data, fitting, judging, planning

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
plan = typer.Typer(
    help="Questions asked before training: which model, which budget, which run next.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

for verb in (
    fitting.demo,
    fitting.fit,
    asking.predict,
    asking.mixture,
    asking.summary,
    asking.skills,
    judging.report,
    judging.plot,
    judging.compare,
):
    app.command()(verb)
app.add_typer(plan, name="plan")
for question in (planning.chance, planning.budget, planning.allocation, planning.contest):
    plan.command()(question)
plan.command("next")(planning.next_run)
app.add_typer(public, name="data")
public.command()(data.get)


def main() -> None:
    """Run the command line."""
    sys.exit(run(app))


if __name__ == "__main__":
    main()
