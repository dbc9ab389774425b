"""Downloads of public data sets into the data folder; a data set is installed in one step or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scalebayes.data.csv_files import data_folder
from scalebayes.data.observations import Observations
from scalebayes.data.schema import quoted, suggestion
from scalebayes.datasets import conversion, public

MIRROR = "SCALEBAYES_MIRROR"
GITHUB = "https://raw.githubusercontent.com"
RETRIES = 2
MAX_PARALLEL_DOWNLOADS = 8
"""Largest number of files that are downloaded at the same time."""


class DownloadError(OSError):
    """A download failed; the message names the file, the server and a remedy."""


@dataclass(frozen=True)
class Tables:
    """The tables made from the files of a repository.

    Attributes:
        folder: Name of its folder in the data folder.
        files: Names of the tables in that folder.
        convert: Takes the folder of a repository's files and returns the texts of the tables.
        read: Reads the tables as observations.
    """

    folder: str
    files: tuple[str, ...]
    convert: Callable[[Path], list[str]]
    read: Callable[[], Observations]


TABLES = {
    "sloth": Tables("sloth", ("data_v2.csv", "lower_bounds.csv"), conversion.sloth, public.sloth),
    "olmo-ladder": Tables(
        "olmo_ladder",
        ("checkpoints.csv",),
        conversion.olmo_ladder,
        public.olmo_ladder_checkpoints,
    ),
    "gadre": Tables("gadre", ("losses.csv", "scores.csv"), conversion.gadre, public.gadre),
    "regmix": Tables("regmix", ("mixtures.csv",), conversion.regmix, public.regmix),
}


def sources() -> dict[str, dict[str, Any]]:
    """Return repository, commit, licence and files with their SHA-256 of each public data set."""
    text = files("scalebayes.datasets").joinpath("sources.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def get(name: str, *, source: str | None = None, force: bool = False) -> Path:
    """Download a public data set and convert it into the tables that its reader expects.

    The files come at a fixed commit and are checked by SHA-256. If it fails or is
    interrupted, the folder of the data set is unchanged. It needs the optional extra `data`.

    Args:
        name: sloth, olmo-ladder, gadre or regmix.
        source: Address of a server with the files at repository/commit/path, as GitHub's raw files do; by
            default that of the environment variable SCALEBAYES_MIRROR, or GitHub's.
        force: Whether to download even if the tables exist.

    Returns:
        The folder of the data set. It is in the data folder, which the environment variable SCALEBAYES_DATA
        names and which is otherwise in the user's cache; the readers look there.

    Raises:
        ValueError: If there is no data set of that name, or the source is not an address.
        DownloadError: If a file is missing or incomplete, or pooch is not installed.
    """
    known = sources()
    if name not in known:
        raise ValueError(
            f"expected the name of a public data set, {quoted(known)}, got {name!r}"
            + suggestion(name, known)
        )
    tables = TABLES[name]
    folder = data_folder() / tables.folder
    if force or not all((folder / file).is_file() for file in tables.files):
        with TemporaryDirectory() as raw:
            _download(known[name], source or os.environ.get(MIRROR) or GITHUB, Path(raw))
            texts = tables.convert(Path(raw))
        _install(dict(zip(tables.files, texts, strict=True)), folder)
    return folder


def _download(about: dict[str, Any], source: str, raw: Path) -> None:
    """Fetch the files of a repository into a folder, under their paths there."""
    if not source.startswith(("http://", "https://")):
        raise ValueError(
            f"expected the address of a server, such as {GITHUB}, got {source!r}: correct the "
            f"source or {MIRROR}"
        )
    try:
        import pooch
        import requests
    except ModuleNotFoundError:
        raise DownloadError(
            "downloading needs pooch: install scalebayes with its optional extra `data`, or pooch alone"
        ) from None
    pooch.get_logger().setLevel("WARNING")
    address = "/".join([source.rstrip("/"), about["repository"], about["commit"], ""])
    store = pooch.create(raw, address, registry=about["files"], retry_if_failed=RETRIES)
    # streaming would leave the connection open after a failed download
    whole = pooch.HTTPDownloader(stream=False)

    def fetch(file: str) -> None:
        try:
            store.fetch(file, downloader=whole)
        except (requests.RequestException, ValueError) as error:
            if isinstance(error, requests.HTTPError):
                got = f"status {getattr(error.response, 'status_code', 'unknown')}"
            elif isinstance(error, requests.exceptions.ChunkedEncodingError):
                got = "a part of it"
            elif isinstance(error, requests.RequestException):
                got = "no answer"
            else:
                got = f"a file whose SHA-256 is not {about['files'][file]}"
            raise DownloadError(
                f"expected {address}{file}, got {got}: check the connection and try again, "
                f"or name another server in {MIRROR}"
            ) from error

    for file in about["files"]:  # pooch makes folders too, but not for several files at a time
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(MAX_PARALLEL_DOWNLOADS) as pool:
        list(pool.map(fetch, about["files"]))


def _install(texts: dict[str, str], folder: Path) -> None:
    """Write tables beside the folder, then move them there in one step; a folder keeps its other files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as stage:
        made = Path(stage) / folder.name
        made.mkdir()
        for file, text in texts.items():
            (made / file).write_text(text, encoding="utf-8", newline="")
        if not folder.exists():
            made.rename(folder)
        else:
            for file in texts:
                (made / file).replace(folder / file)
