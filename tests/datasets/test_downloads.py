"""`scalebayes data get`, from a server on this machine: made-up files, and the published ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalebayes import datasets
from scalebayes.cli.app import app
from scalebayes.cli.errors import run
from scalebayes.datasets import DownloadError, conversion, downloads

RUN = "rpj-tiny-1.0"
SOURCE = {"repository": "them/theirs", "commit": "c0ffee", "licence": "MIT"}
FILES = {
    "exp_data/eval_metadata.csv": "Eval Task,#datapoints,Random baseline\npiqa,1838,50\nunused,9,0\n",
    f"exp_data/models/{RUN}.json": json.dumps(
        {
            "name": RUN,
            "dataset_name": "rpj",
            "hyperparameters": {"params": 11_000_000, "tokens": 220_000_000},
            "results": [
                {"val_data": [f"data/{folder}/0.tar"], "loss": 4.1234567 + at}
                for at, folder in enumerate(conversion.GADRE_DOMAINS)
            ],
        }
    ),
    f"exp_data/evals/evaluation_{RUN}_heavy.json": json.dumps(
        {"eval_metrics": {"icl": {"piqa": 0.6050054}}}
    ),
}
"""What a repository like Gadre's would hold of a single run."""


class Server(ThreadingHTTPServer):
    """Serves what `find` returns; `missing` bytes of each file are announced and not sent."""

    daemon_threads = True
    missing = 0

    def __init__(self, find: Callable[[str], bytes | None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.find, self.asked = find, list[str]()
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = self.server.find(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write((body or b"")[: len(body or b"") - self.server.missing])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: Any) -> Iterator[Callable[[Callable[[str], bytes | None]], Server]]:
    """Start servers; no proxy, no second attempts."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SCALEBAYES_MIRROR", raising=False)
    monkeypatch.setattr(downloads, "RETRIES", 0)
    started = []

    def start(find: Callable[[str], bytes | None]) -> Server:
        server = Server(find)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: Any) -> Iterator[Path]:
    """An empty data folder; files of a download must be gone when the test ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALEBAYES_DATA", str(tmp_path / "data"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield tmp_path / "data"
    assert not list(scratch.iterdir())


@pytest.fixture
def tiny(serve: Any, data: Path, monkeypatch: Any) -> Server:
    """A server of the made-up files, as if they were Gadre's."""
    sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in FILES.items()}
    monkeypatch.setattr(downloads, "sources", lambda: {"gadre": {**SOURCE, "files": sums}})
    held = {f"/them/theirs/c0ffee/{path}": text.encode() for path, text in FILES.items()}
    return serve(held.get)


def refused(server: str, **options: Any) -> str:
    with pytest.raises(DownloadError) as caught:
        datasets.get("gadre", source=server, **options)
    return str(caught.value)


def test_tables_arrive_as_their_reader_expects_them(tiny: Server, data: Path) -> None:
    assert datasets.get("gadre", source=tiny.address + "/") == data / "gadre"
    assert len(tiny.asked) == len(FILES)
    seen = datasets.gadre()
    assert seen.models[["model", "family", "params", "tokens"]].to_numpy().tolist() == [
        [RUN, "redpajama", 11e6, 220e6]
    ]
    assert seen.scores.to_numpy().tolist() == [[RUN, "piqa", 0.605005, 1838, 0.5]]
    assert seen.losses["loss"].tolist() == [4.123457 + at for at in range(8)]
    assert list(seen.domains[:2]) == ["openlm", "c4"]


def test_what_is_there_is_not_downloaded_again_unless_forced(tiny: Server, data: Path) -> None:
    datasets.get("gadre", source=tiny.address)
    (data / "gadre" / "losses.csv").write_text("mine")
    (data / "gadre" / "notes.txt").write_text("mine too")
    datasets.get("gadre", source=tiny.address)
    assert len(tiny.asked) == len(FILES)
    assert (data / "gadre" / "losses.csv").read_text() == "mine"
    datasets.get("gadre", source=tiny.address, force=True)
    assert len(tiny.asked) == 2 * len(FILES)
    assert len(datasets.gadre().losses) == 8
    assert (data / "gadre" / "notes.txt").read_text() == "mine too"


def test_a_folder_that_lacks_a_table_is_filled(tiny: Server, data: Path) -> None:
    datasets.get("gadre", source=tiny.address)
    (data / "gadre" / "scores.csv").unlink()
    datasets.get("gadre", source=tiny.address)
    assert len(datasets.gadre().scores) == 1


def test_a_wrong_checksum_leaves_nothing(tiny: Server, data: Path) -> None:
    tiny.find = lambda path: b"other figures"
    message = refused(tiny.address)
    assert message.startswith(f"expected {tiny.address}/them/theirs/c0ffee/exp_data/")
    assert ", got a file whose SHA-256 is not " in message
    assert message.endswith("try again, or name another server in SCALEBAYES_MIRROR")
    assert not data.exists()


def test_half_a_download_leaves_nothing(tiny: Server, data: Path) -> None:
    tiny.missing = 10
    assert "got a part of it: check the connection and try again" in refused(tiny.address)
    assert not data.exists()


def test_a_file_that_the_server_lacks_leaves_nothing(tiny: Server, data: Path) -> None:
    find = tiny.find
    tiny.find = lambda path: None if "evals" in path else find(path)
    assert f"evaluation_{RUN}_heavy.json, got status 404" in refused(tiny.address)
    assert not data.exists()


def test_offline_leaves_what_was_there(tiny: Server, data: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert "got no answer: check the connection" in refused(nobody)
    assert not data.exists()
    datasets.get("gadre", source=tiny.address)
    before = {path: path.read_text() for path in (data / "gadre").iterdir()}
    assert "got no answer" in refused(nobody, force=True)
    assert {path: path.read_text() for path in (data / "gadre").iterdir()} == before


def test_an_interrupted_conversion_leaves_nothing(
    tiny: Server, data: Path, monkeypatch: Any
) -> None:
    def interrupted(raw: Path) -> list[str]:
        assert (raw / "exp_data" / "eval_metadata.csv").is_file()
        raise KeyboardInterrupt

    tables = dataclasses.replace(downloads.TABLES["gadre"], convert=interrupted)
    monkeypatch.setitem(downloads.TABLES, "gadre", tables)
    with pytest.raises(KeyboardInterrupt):
        datasets.get("gadre", source=tiny.address)
    assert not data.exists()


def test_a_table_that_cannot_be_written_leaves_nothing(
    tiny: Server, data: Path, monkeypatch: Any
) -> None:
    def full(path: Path, text: str, **_: Any) -> None:
        if path.name == "scores.csv":
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(text.encode())

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        datasets.get("gadre", source=tiny.address)
    assert not list(data.iterdir())


def test_without_the_extra_a_sentence_names_it(tiny: Server, data: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert "its optional extra `data`" in refused(tiny.address)
    assert not data.exists()


def test_unknown_names_and_sources_are_refused(tiny: Server) -> None:
    with pytest.raises(ValueError, match="'gadre', got 'gadr'; did you mean 'gadre'"):
        datasets.get("gadr")
    with pytest.raises(ValueError, match=r"such as https://\S+, got 'here'"):
        datasets.get("gadre", source="here")
    assert not tiny.asked


def test_without_a_data_folder_tables_go_to_the_cache_and_are_read_there(
    tiny: Server, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.delenv("SCALEBAYES_DATA")
    monkeypatch.setenv("SCALEBAYES_MIRROR", tiny.address)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    assert datasets.get("gadre") == tmp_path / "cache" / "scalebayes" / "data" / "gadre"
    assert len(datasets.gadre().models) == 1


def test_the_command_says_what_the_tables_hold_and_where(
    tiny: Server, data: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(downloads, "GITHUB", tiny.address)
    monkeypatch.setattr(datasets, "sources", downloads.sources)
    assert run(app, ["data", "get", "gadre"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "Observations(1 model of 1 family; 1 score on 1 benchmark; 8 losses on 8 domains)",
        f"tables: {data}/gadre/losses.csv, {data}/gadre/scores.csv",
        "source: them/theirs at c0ffee, MIT licence",
    ]
    assert not err
    assert run(app, ["data", "get", "gadre", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(data / "gadre")
    assert (told["models"], told["scores"], told["losses"]) == (1, 1, 8)
    assert len(tiny.asked) == len(FILES)


def test_the_command_fails_in_one_line(tiny: Server, data: Path, capsys: Any) -> None:
    tiny.missing = 10
    assert run(app, ["data", "get", "gadre", "--source", tiny.address]) == 2
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    assert line.startswith(f"error: expected {tiny.address}/them/theirs/c0ffee/exp_data/")
    assert not data.exists()


def test_every_data_set_has_its_source() -> None:
    sources = datasets.sources()
    assert set(sources) == set(downloads.TABLES)
    for source in sources.values():
        assert set(source) == {"repository", "commit", "licence", "files"}
        assert re.fullmatch("[0-9a-f]{40}", source["commit"])
        assert all(re.fullmatch("[0-9a-f]{64}", told) for told in source["files"].values())


# --- conversion of made-up files ----------------------------------------------------------------


def test_ladder_tokens_are_counted_or_steps_times_batch(tmp_path: Path) -> None:
    values = {
        "mmlu_stem_test": 0.1,
        "mmlu_humanities_test": 0.2,
        "mmlu_social_sciences_test": 0.3,
        "mmlu_other_test": 0.4,
        **dict.fromkeys(("hellaswag_val", "arc_challenge_test", "arc_easy_test"), 0.5),
        **dict.fromkeys(("piqa_val", "csqa_val", "socialiqa_val", "openbookqa_test"), 0.5),
    }
    row = {"_step": 3, "batch_size_in_tokens": 7, "eval/c4_en-validation/CrossEntropyLoss": 3.0}
    for at, (part, value) in enumerate(values.items()):
        row[f"eval/downstream_bpb/{part}_rc_5shot_bpb"] = 2 * value
        row[f"eval/downstream/{part}_rc_5shot_len_norm"] = value if at else None  # stem unknown
    folder = tmp_path / conversion.LADDER
    folder.mkdir(parents=True)
    for file in datasets.sources()["olmo-ladder"]["files"]:
        total = {} if "peteish13" in file else {"throughput/total_tokens": 20}
        pd.DataFrame([row | total, row | total]).to_csv(tmp_path / file, index=False)
    (text,) = conversion.olmo_ladder(tmp_path)
    (tmp_path / "converted.csv").write_text(text)
    table = pd.read_csv(tmp_path / "converted.csv")
    assert len(table) == 18 * 8 * 2
    assert set(table.loc[table["run"] == "13B-5T", "tokens"]) == {21}
    assert set(table.loc[table["run"] != "13B-5T", "tokens"]) == {20}
    assert table["checkpoint"].tolist() == [0, 1] * (18 * 8)
    mmlu = table[table["task"] == "mmlu"]
    mean = 0.215 * 0.1 + 0.335 * 0.2 + 0.219 * 0.3 + 0.231 * 0.4
    assert mmlu["task_loss"].tolist() == pytest.approx([2 * mean] * 36)
    assert mmlu["accuracy"].isna().all()  # of a mean with an unknown part nothing is known
    assert set(table.loc[table["task"] != "mmlu", "accuracy"]) == {0.5}


def test_regmix_joins_mixtures_and_losses_on_their_index(tmp_path: Path) -> None:
    for file in datasets.sources()["regmix"]["files"]:
        (tmp_path / "data").mkdir(exist_ok=True)
        text = "index,train_the_pile_arxiv\n1,0.1\n2,0.2\n"
        if "loss" in file:
            text = "index,metric/the_pile_arxiv_val_loss\n2,4.2\n1,4.1\n"
        (tmp_path / file).write_text(text)
    (text,) = conversion.regmix(tmp_path)
    header, first, second, *_ = text.splitlines()
    assert header == "size,params,role,index,weight_arxiv,loss_arxiv"
    assert (first, second) == ("1M,1000000.0,train,1,0.1,4.1", "1M,1000000.0,train,2,0.2,4.2")
    assert len(text.splitlines()) == 1 + 4 * 2


# --- the published files ------------------------------------------------------------------------


@pytest.fixture
def published() -> Path:
    """The folder of the larger tables and of the files behind them, where this machine has it."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SCALEBAYES_DATA", beside))
    if not (folder / "upstream" / "manifest.json").is_file():
        pytest.skip(f"the files behind the larger tables are not in {folder / 'upstream'}")
    return folder


def test_sources_are_those_of_the_published_files(published: Path) -> None:
    assert datasets.sources() == json.loads((published / "upstream/manifest.json").read_text())


@pytest.mark.parametrize("name", downloads.TABLES)
def test_the_published_files_give_the_tables(
    name: str, published: Path, serve: Any, data: Path
) -> None:
    about = datasets.sources()[name]
    start = f"/{about['repository']}/{about['commit']}/"

    def find(path: str) -> bytes | None:
        assert path.startswith(start)
        return (published / "upstream" / name / path.removeprefix(start)).read_bytes()

    folder = datasets.get(name, source=serve(find).address)
    tables = downloads.TABLES[name]
    assert sorted(path.name for path in folder.iterdir()) == sorted(tables.files)
    for file in tables.files:
        found, expected = (pd.read_csv(at / file) for at in (folder, published / tables.folder))
        if file == "lower_bounds.csv":  # looked up by name: its order does not matter
            found, expected = (t.set_index("benchmark").sort_index() for t in (found, expected))
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12, atol=0)
    assert len(tables.read().models) > 100
