"""Laws by name on the command line: their list, their choices, and what --set refuses."""

from __future__ import annotations

import dataclasses
import json

import pytest

import scalebayes as sb
from scalebayes.cli import inputs, laws, options
from scalebayes.cli.app import app
from scalebayes.cli.errors import one_line, run
from scalebayes.laws import by_name
from scalebayes.model import specification


def test_the_list_has_every_law_by_name(capsys):
    assert run(app, ["laws", "--json"]) == 0
    listed = {row["law"]: row["what it is"] for row in json.loads(capsys.readouterr().out)["laws"]}
    assert list(listed) == sorted(listed)
    joined = {name.replace("-", ""): what for name, what in listed.items()}
    assert set(joined) == {name.lower() for name in by_name()}
    for name, law in by_name().items():
        assert str(law.__doc__).strip().startswith(joined[name.lower()])
    assert run(app, ["laws"]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(listed)


def test_a_registered_law_is_listed_and_made(monkeypatch):
    monkeypatch.setattr(specification, "_REGISTERED", dict(specification._REGISTERED))

    @sb.register
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class MyOwnLaw(sb.FamilyIntercept):
        """A law of a user."""

        steepness: float = 1.0

    assert laws.installed()["my-own-law"] is MyOwnLaw
    made = laws.make("my-own-law", ["steepness=2.5", "floor=known"])
    assert isinstance(made, MyOwnLaw)
    assert (made.steepness, made.floor) == (2.5, "known")
    with pytest.raises(ValueError, match="--set steepness=high: expected a number, got 'high'"):
        laws.make("my-own-law", ["steepness=high"])


def test_a_law_has_choices_with_allowed_values_and_priors(capsys):
    assert run(app, ["laws", "sloth", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    choices = {row["choice"]: (row["default"], row["allowed"]) for row in found["choices"]}
    assert choices["skills"] == ("2", "a whole number")
    assert choices["family_slopes"] == ("true", "true or false")
    assert choices["link"] == ("monotone", "monotone, logistic")
    priors = [(row["parameter"], row["prior"], row["reason"]) for row in found["priors"]]
    assert priors == sb.priors(sb.Sloth())
    fields = {f.name for f in dataclasses.fields(sb.Sloth)}
    assert {*choices, *(name for name, *_ in priors)} == fields - {"covariates"}
    assert run(app, ["laws", "sloth"]) == 0
    out = capsys.readouterr().out
    assert "choices" in out
    assert "priors" in out
    assert "LogNormal(-2, 0.7)" in out


def test_every_default_can_be_set():
    for name, law in laws.installed().items():
        default = law()
        texts = [f"{c}={laws.in_shell(getattr(default, c))}" for c in laws.choices_of(law)]
        assert laws.make(name, texts) == default
        assert laws.make(name, [",".join(texts)], ["year"]).covariates == ("year",)


REFUSED = {
    "unknown law": (["laws", "slot"], "there is no law 'slot'; did you mean 'sloth'"),
    "unknown choice": (["skils=3"], "sloth has no choice 'skils'; did you mean 'skills'"),
    "no similar choice": (["depth=3"], "its choices are 'floor', 'ceiling', 'link', 'skills'"),
    "not a whole number": (["skills=1.5"], "--set skills=1.5: expected a whole number, got '1.5'"),
    "not a number": (["skills=many"], "--set skills=many: expected a whole number, got 'many'"),
    "wrong value": (
        ["link=probit"],
        "--set link=probit: expected monotone, logistic, got 'probit'",
    ),
    "not true or false": (["lineage=yes"], "--set lineage=yes: expected true or false, got 'yes'"),
    "no value": (["skills"], "--set expects CHOICE=VALUE, such as skills=3, got 'skills'"),
    "a prior": (["delta=1"], "sloth has no choice 'delta'"),
    "out of range": (["skills=0"], "at least one skill"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refusals_are_one_line(why, capsys):
    given, says = REFUSED[why]
    arguments = given
    if given[0] != "laws":
        arguments = ["fit", "sloth", "open_llm", *(a for c in given for a in ("--set", c))]
    assert run(app, arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert says in line


def test_losses_on_the_command_line():
    assert options.losses(["c4=c4_loss:nats/token"]) == {"c4": ("c4_loss", "nats/token")}
    with pytest.raises(ValueError, match="--loss expects DOMAIN=COLUMN:UNIT"):
        options.losses(["c4=c4_loss"])
    assert laws.make("ladder", ["feature=c4"]).feature == "c4"
    with pytest.raises(ValueError, match="--set feature=c4: sloth has no choice 'feature'"):
        laws.make("sloth", ["feature=c4"])
    observations, _ = inputs.observations(
        "olmo_ladder", "mmlu", {}, losses={}, mixtures={}, units={}, chance={}, items={}
    )
    assert observations.domains[0] == "c4"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("raise target_accept towards 0.99", "raise --target-accept towards 0.99"),
        ("double warmup and draws", "double --warmup and --draws"),
        ("tails are slow; lengthen warmup", "tails are slow; lengthen --warmup"),
        ("run at least 4 chains", "run at least --chains 4"),
        ("Staged is for laws with losses", "--staged is for laws with losses"),
        ("give it, as in covariates={'stage': ...}", "give it, as in --covariate stage=..."),
        ("declare it, as in covariates={'x': 'numeric'}", "declare it, as in --covariate x=numeric"),
        ("divide them with units={'params': 1e9}", "divide them with --units params=1e9"),
        ("choose\n floor='known', or checkpoints=True", "choose; --set floor=known, or --set checkpoints=true"),
        ("add a column 'x' to the models", "give --covariate x=VALUE for a single model, or add a column 'x' "
         "to the file of models"),
        ("say so: new_families=['f9']", "say so: --new-family 'f9'"),
    ],
)  # fmt: skip
def test_messages_name_options_of_the_shell(message, line):
    assert one_line(message) == line


def test_a_law_that_is_not_installed_is_refused_in_words_of_the_shell():
    spec = {"schema": specification.SCHEMA, "law": "Theirs", "module": "theirs", "fields": {}}
    with pytest.raises(ValueError, match="cannot read law 'Theirs'") as refused:
        specification.from_specification(spec, by_name())
    line = one_line(str(refused.value))
    assert "install a package that has it as an entry point in the group scalebayes.laws" in line
    assert "laws=[" not in line
