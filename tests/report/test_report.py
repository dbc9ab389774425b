"""The page about a fit: what it says, that it is well made, and that it works in a browser alone."""

from __future__ import annotations

import builtins
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import HELD_OUT, told
from matplotlib.collections import PathCollection

import scalebayes as sb
from scalebayes import datasets
from scalebayes.evaluation import scoring
from scalebayes.evaluation.heldout import held_out
from scalebayes.prediction.designs import observations_of
from scalebayes.report import answers
from scalebayes.report import figures as pictures

EVIL = "<script>alert('x')</script> & \"co\""
ASKED = pd.DataFrame(
    {"model": [EVIL, "n-1"], "family": ["f2", "new"], "params": [1e11, 2e9], "tokens": 1e12}
)
VOID = {"meta", "img", "br", "link", "input", "hr"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """What a reader of the HTML meets; it complains of elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["aria-labelledby"]
            self.words[self.section] = ""
        if tag == "caption":
            self.rows = self.tables[str(dict(attrs)["id"])] = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        if "section" in self.open:
            self.words[self.section] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def table(self, name: str) -> pd.DataFrame:
        head, *rows = self.tables[name]
        return pd.DataFrame(rows, columns=head)


@pytest.fixture(scope="module")
def path(fitted: sb.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a fit with two models held out, that predicts two more."""
    out, before = tmp_path_factory.mktemp("report") / "page.html", plt.get_fignums()
    assert sb.write_report(fitted, out, models=ASKED, seed=3) == out
    assert plt.get_fignums() == before
    return out


@pytest.fixture(scope="module")
def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_html_is_well_formed_and_headings_are_in_order(page: Page) -> None:
    assert page.elements[0] == ("html", {"lang": "en"})
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) <= 1
    named = {a[k] for _, a in page.elements for k in ("aria-labelledby",) if k in a}
    assert named <= set(ids)
    inner = {str(a["href"])[1:] for a in page.of("a") if str(a["href"]).startswith("#")}
    assert inner <= set(ids)
    assert len(page.of("main")) == len(page.of("nav")) == len(page.of("header")) == 1


def test_sections_come_in_order_and_the_verdict_first(page: Page) -> None:
    assert list(page.words) == [
        "verdict", "predictions", "held-out", "calibration", "curves", "identifiability", "limits", "law",
        "data", "priors", "provenance",
    ]  # fmt: skip


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert not page.of("link")
    assert not page.of("iframe")
    for tag, attributes in page.elements:
        assert not str(attributes.get("src", "data:")).removeprefix("data:image/").startswith("h")
        assert tag == "a" or "href" not in attributes
    (policy,) = [a["content"] for a in page.of("meta") if "http-equiv" in a]
    assert str(policy).startswith("default-src 'none'")


def test_pictures_tell_in_words_what_they_show(page: Page, fitted: sb.Fit) -> None:
    told = [str(a["alt"]) for a in page.of("img")]
    assert len(told) == 5
    assert told[0].startswith("Predictive intervals of 2 models on 4 benchmarks. 90% intervals: ")
    table = scoring.scores(held_out(fitted, seed=3))
    inside = table["observed"].between(table["lower_90"], table["upper_90"])
    assert f"{inside.sum()} of 8 scores lie inside their 90% intervals" in told[1]
    for row in table[~inside].to_dict("records"):
        assert f"{row['model']} on {row['benchmark']} scored {row['observed']:.3f}" in told[1]
    assert told[2].startswith("Calibration of 8 held-out scores of 2 models.")
    # those asked for first, then one with a model held out
    assert told[3].startswith(
        "Predicted score along training FLOPs of f2, new, f0, one panel a bench"
    )
    flops = fitted.observations.models.query("family in ['f2', 'f0']")["flops"]
    span = min(flops.min() / 2, 1.2e22), max(flops.max() * 2, 6e23)
    ends = sb.trajectory(
        fitted, "f2", along="flops", fixed=10.0, span=span, points=pictures.POINTS, seed=3
    )
    last = ends[ends["benchmark"] == "arc"].iloc[-1]
    assert f"f2 on arc {last['lower_90']:.3f} to {last['upper_90']:.3f};" in told[3]
    asked = sb.predict(fitted, ASKED, seed=3).iloc[0]
    assert (
        f"Marked, the models asked for: {EVIL} on arc {asked['lower_90']:.3f} to {asked['upper_90']:.3f};"
        in told[3]
    )
    assert all(a["src"].startswith("data:image/svg+xml;base64,") for a in page.of("img"))


def test_tables_have_captions_and_scopes_and_can_be_sorted(page: Page) -> None:
    assert len(page.of("caption")) == len(page.of("table")) == len(page.tables)
    assert {a["scope"] for a in page.of("th")} == {"col", "row"}
    heads = [a for a in page.of("th") if a["scope"] == "col"]
    single = sum(len(rows[0]) for rows in page.tables.values() if len(rows) == 2)
    assert len(page.of("button")) == len(heads) - single


def test_names_are_text_and_never_markup(page: Page, path: Path) -> None:
    assert page.table("predictions-table-1")["model"].unique().tolist() == [EVIL, "n-1"]
    assert len(page.of("script")) == 1
    assert "<script>alert" not in path.read_text(encoding="utf-8")


def test_numbers_are_those_of_predict(page: Page, fitted: sb.Fit) -> None:
    own = fitted.observations.only(models=HELD_OUT)
    for name, models in (("held-out-table-1", own), ("predictions-table-1", ASKED)):
        shown, table = page.table(name), sb.predict(fitted, models, seed=3)
        assert shown["model"].tolist() == table["model"].tolist()
        assert shown["benchmark"].tolist() == table["benchmark"].tolist()
        assert shown["median"].tolist() == [f"{v:.3f}" for v in table["median"]]
        for level in (50, 90):
            ends = zip(table[f"lower_{level}"], table[f"upper_{level}"], strict=True)
            assert shown[f"{level}%"].tolist() == [f"{low:.3f} to {up:.3f}" for low, up in ends]
    scores = own.scores.set_index(["model", "benchmark"])["score"]
    shown = page.table("held-out-table-1")
    assert shown["observed"].tolist() == [
        f"{scores[m, b]:.3f}" for m, b in zip(shown["model"], shown["benchmark"], strict=True)
    ]
    decades = scoring.scores(held_out(fitted, seed=3))["flops_past"]
    assert shown["flops_past"].tolist() == [f"{v:.3f}" for v in decades]
    inside = (shown["inside 90%"] == "yes").sum()
    assert (
        f"{inside} of 8 scores of 2 held-out models lie inside their 90%" in page.words["verdict"]
    )
    assert "has seen nothing of 'new'" in page.words["predictions"]
    shown = page.table("predictions-table-1")
    table = sb.predict(fitted, ASKED, seed=3)
    assert shown["flops_past"].tolist() == [f"{v:.3f}" for v in table["flops_past"]]


def test_curves_go_through_the_models_asked_for(fitted: sb.Fit) -> None:
    models = pd.DataFrame(
        {"model": ["s", "l", "n"], "family": ["f2", "f2", "new"], "params": [1e9, 1e11, 5e9]}
    )
    models["tokens"] = [1e12, 3e12, np.nan]
    asked = answers.described_predictions(fitted, observations_of(fitted, models), (), 3)
    drawn = pictures.curves(fitted, 3, asked=asked)
    ax = drawn.figure.axes[0]
    stars = {
        tuple(at): c.get_alpha()
        for c in ax.collections
        if isinstance(c, PathCollection)
        for at in np.asarray(c.get_offsets())
        if c.get_sizes()[0] > 100
    }
    of_panel = asked[asked["benchmark"] == ax.get_title()].set_index("model")
    ends = {name: (of_panel["flops"][name], of_panel["median"][name]) for name in ("s", "l")}
    # the tokens per parameter of the curve are those of the larger, and far from those of the other
    assert stars == {ends["l"]: 1.0, ends["s"]: pytest.approx(0.35)}
    x, y = ax.lines[0].get_data()
    assert x.max() == pytest.approx(6 * 1e11 * 3e12)
    assert np.interp(np.log(ends["l"][0]), np.log(x), y) == pytest.approx(ends["l"][1], abs=0.03)
    assert "Star: median of a model asked for" in drawn.figure.get_supxlabel()
    assert "Not drawn: 4 of models with unknown" in drawn.figure.get_supxlabel()
    plt.close(drawn.figure)


def test_a_page_warns_once_of_what_is_far_and_says_so(fitted: sb.Fit, tmp_path: Path) -> None:
    far = ASKED.assign(params=[1e15, 2e9], tokens=[1e15, 1e12])
    out = tmp_path / "page.html"
    [warning] = told(
        lambda fit: sb.write_report(fit, out, models=far), fitted, sb.ExtrapolationWarning
    )
    page = Page(out.read_text(encoding="utf-8"))
    for sentence in str(warning.message).split("; "):
        assert sentence[1:] in page.words["predictions"]
    [warning] = told(lambda fit: sb.write_report(fit, out), fitted, sb.ConvergenceWarning)
    assert fitted.verdict.failures[0] in str(warning.message)


def test_calibration_counts_what_was_held_out(page: Page, fitted: sb.Fit) -> None:
    table = page.table("calibration-table-2").set_index("benchmark")
    held = held_out(fitted, seed=3)
    low, high = np.quantile(held.draws, [0.25, 0.75], axis=1)
    inside = held.cells["observed"].between(low, high).groupby(held.cells["benchmark"]).mean()
    assert table["inside 50%"].to_dict() == {b: f"{v:.0%}" for b, v in inside.items()}
    assert (table["scores"] == "2").all()


def test_a_failed_verdict_comes_with_its_remedies(page: Page, fitted: sb.Fit) -> None:
    assert not fitted.verdict.passed
    words = page.words["verdict"].strip()
    assert words.removeprefix("Verdict").strip().startswith("Not converged: do not rely on")
    for failure in fitted.verdict.failures:
        assert f"{failure[1:]}." in words
    checks = page.table("verdict-table-1").set_index("check")
    assert (checks["met"] == "no").any()
    assert checks.loc["ESS bulk, smallest", "found"] == f"{fitted.verdict.min_ess_bulk:.0f}"


def test_law_data_priors_and_provenance_are_told(page: Page, fitted: sb.Fit) -> None:
    links = {a["href"] for a in page.of("a")}
    assert "https://arxiv.org/abs/2412.06540" in links
    assert "theta_ik = alpha_fk" in page.words["law"]
    assert "Held out, and not used in the fit: 8 scores and 10 losses." in page.words["data"]
    families = page.table("data-table-1").set_index("family")
    assert families.loc["f0", ["models", "scores", "seen"]].tolist() == ["4", "16", "12"]
    priors = page.table("priors-table-1")
    assert priors.to_numpy().tolist() == [list(prior) for prior in sb.priors(fitted.law)]
    facts = page.table("provenance-table-1").set_index(["part", "name"])["value"]
    assert facts["setting", "seed"] == "1"
    assert facts["version", "jax"] == fitted.provenance["versions"]["jax"]
    assert len(facts["SHA-256 of the table", "scores"]) == 64


def test_nothing_held_out_and_nothing_asked_leaves_the_sections_out(
    fitted: sb.Fit, tmp_path: Path
) -> None:
    seen = fitted.observations.without(models=HELD_OUT)
    bare = replace(fitted, observations=seen, held_out=())
    out = sb.write_report(bare, tmp_path / "page.html", title="Mine & yours")
    page = Page(out.read_text(encoding="utf-8"))
    assert list(page.words) == [
        "verdict",
        "curves",
        "identifiability",
        "limits",
        "law",
        "data",
        "priors",
        "provenance",
    ]
    assert "Nothing was held out" in page.words["verdict"]
    assert len(page.of("img")) == 2
    assert "<h1>Mine &amp; yours</h1>" in out.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="fit with hold_out"):
        pictures.picture(bare, "intervals")


def test_what_stands_in_the_way_is_told_before_the_work(
    fitted: sb.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        sb.write_report(fitted, tmp_path / "no" / "page.html")
    real = builtins.__import__

    def without(name: str, *arguments: object, **more: object) -> object:
        if name == "jinja2":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "scalebayes\[report\]"'):
        sb.write_report(fitted, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_the_source_of_bundled_scores_is_found() -> None:
    part = datasets.open_llm().only(benchmarks=["mmlu"])
    found = datasets.source_of(part)
    assert found is not None
    assert found["name"] == "open_llm"
    changed = part.scores.assign(score=part.scores["score"] + 1e-4)
    assert datasets.source_of(sb.Observations(part.models, changed)) is None
    assert datasets.source_of(sb.Observations(part.models)) is None


def test_single_scores_held_out_are_predicted_without_the_others(
    fitted: sb.Fit, tmp_path: Path
) -> None:
    cell = ("f2-0", "gsm")
    out = sb.write_report(replace(fitted, held_out=(cell,)), tmp_path / "page.html")
    page = Page(out.read_text(encoding="utf-8"))
    assert page.table("held-out-table-1")[["model", "benchmark"]].to_numpy().tolist() == [[*cell]]
    assert "calibration" not in page.words  # one score tells nothing of it
    table = held_out(replace(fitted, held_out=(cell, "f0-3"))).cells
    assert table[["model", "benchmark"]].to_numpy().tolist() == [
        *(["f0-3", b] for b in fitted.design.labels("benchmark")),
        list(cell),
    ]


# --- in a browser -------------------------------------------------------------------------------

CLICKS = """<script>
const table = document.getElementById("held-out-table-1").closest("table");
const head = [...table.tHead.rows[0].cells].find((th) => th.textContent === "median");
const column = () => [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent);
const found = { before: column(), sorted: [] };
for (let i = 0; i < 2; i++) {
  head.firstChild.focus();
  document.activeElement.click();
  found.sorted.push([head.getAttribute("aria-sort"), column()]);
}
found.images = [...document.images].map((image) => image.complete && image.naturalWidth > 0);
found.wider = document.documentElement.scrollWidth - window.innerWidth;
const told = document.createElement("pre");
told.id = "found";
told.textContent = JSON.stringify(found);
document.body.append(told);
</script></body>"""


def browse(file: Path, folder: Path) -> tuple[str, list[str], set[str]]:
    """The page as a browser has it after its scripts, its console and the addresses it asked for."""
    log = folder / "net.json"
    done = subprocess.run(
        [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--window-size=400,800",
         f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    # the log has one event a line; what the browser asks for on its own account has no origin
    asked = set(re.findall(r'"initiator":"(?!not an origin").*"url":"([^"]*)"', log.read_text()))
    return done.stdout, console, asked


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, Debian's package of that name")
def test_the_page_works_in_a_browser_and_asks_for_nothing(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "clicked.html"
    text = path.read_text(encoding="utf-8")
    file.write_text(text.replace("</body>", CLICKS), encoding="utf-8")
    dom, console, asked = browse(file, tmp_path)
    assert console == []
    assert asked == set()
    found = json.loads(re.findall('<pre id="found">(.*)</pre>', dom)[0])
    (up, ascending), (down, descending) = found["sorted"]
    assert (up, down) == ("ascending", "descending")
    assert ascending == sorted(found["before"]) != found["before"]
    assert descending == ascending[::-1]
    assert found["images"] == [True] * 5
    assert found["wider"] <= 0

    # and the test would have noticed: a page that does ask, and errs
    policy = re.compile("<meta http-equiv.*>")
    assert policy.search(text)
    broken = "<img src='http://elsewhere.example/a.png' alt=''><script>nothing()</script></body>"
    file.write_text(policy.sub("", text).replace("</body>", broken), encoding="utf-8")
    _, console, asked = browse(file, tmp_path)
    assert "nothing is not defined" in " ".join(console)
    assert asked == {"http://elsewhere.example/a.png"}
