"""Run a command line; bad input gives one line on standard error and exit code 2."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAD_INPUT = 2
INTERRUPTED = 130


def _as_pairs(found: re.Match[str]) -> str:
    """Write the entries of a dictionary as the shell takes them, a=1,b=2."""
    return ",".join(re.sub(r"'([^']+)': '?([^']*)'?", r"\1=\2", e) for e in found[1].split(", "))


IN_SHELL: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r", declare it with covariates=\{\.\.\.\}", ""),
    (r"pass extra='ignore' to leave such columns out", "leave such columns out of the file"),
    (
        r"pass its class, load\(path, laws=\[\w+\]\), or register it before loading with @scalebayes.register",
        "install a package that has it as an entry point in the group scalebayes.laws",
    ),
    (
        r"add a column '([^']+)' to the models",
        r"give --covariate \1=VALUE for a single model, or add a column '\1' to the file of models",
    ),
    (r"pass scales='trust'", "pass --trust-scales"),
    (r"; Observations\.normalised_scores\(\) lists them", ""),
    (r"\{('[^']+': [^{}]+)\}", _as_pairs),
    (r"\bchance=(?=\S)", "--chance "),
    (r"\bcovariates=(?=\s)", "--covariate"),
    (r"\bcovariates=", "--covariate "),
    (r"\bunits=", "--units "),
    (r"\bnew_families=\['([^']*)'\]", r"--new-family '\1'"),
    (r"\bof='(\w+)'", r"--of \1"),
    (r"\btokens=None", "--tokens-col none"),
    (r"\bmethod='([^']*)'", r"--method \1"),
    (r"\b([a-z_]+)='([^']*)'", r"--set \1=\2"),
    (r"\b([a-z_]+)=True\b", r"--set \1=true"),
    (r"\b([a-z_]+)=False\b", r"--set \1=false"),
    (r"\bhold_out\b", "--hold-out"),
    (r"\b(raise|double|lengthen) (draws|warmup)\b", r"\1 --\2"),
    (r"--warmup and draws\b", "--warmup and --draws"),
    (r"\btarget_accept\b", "--target-accept"),
    (r"\bmax_tree_depth\b", "--max-tree-depth"),
    (r"\brun at least (\d+) chains\b", r"run at least --chains \1"),
    (r"\bStaged is for\b", "--staged is for"),
    (r"\btokens_per_param=\(low, high\)", "--tokens-per-param LOW,HIGH"),
    (r"\bflops=\(low, high\)", "--flops LOW,HIGH"),
    (r"\bgive a (wider|lower) range with flops\b", r"give a \1 range with --flops LOW,HIGH"),
)
"""Patterns of what messages say to users of Python, and what to say in the shell instead, in this order."""

# some versions of typer include click, others depend on it
_USAGE: Any = tuple(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run an app and return its exit code; bad input gives 2, and one line on standard error.

    If the environment variable SCALEBAYES_TRACEBACK is set, errors are raised instead.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _each_once()
        for category in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        return _run(app, arguments)


def _run(app: typer.Typer, arguments: Sequence[str] | None) -> int:
    try:
        code = app(arguments, standalone_mode=False, prog_name="scalebayes")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except _USAGE as error:
        return _usage_error(error)
    except (ImportError, OSError, TypeError, ValueError) as error:
        if os.environ.get("SCALEBAYES_TRACEBACK"):
            raise
        return _fail(_message(error), BAD_INPUT)
    return code if isinstance(code, int) else 0


def one_line(message: str) -> str:
    """A message of the library on one line, with options of the shell in place of arguments."""
    message = re.sub(r":\n\s*", ": ", message.strip())
    message = re.sub(r"\s*\n\s*", "; ", message)
    for pattern, replacement in IN_SHELL:
        message = re.sub(pattern, replacement, message)
    return message


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _fail(message: str, code: int) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code


def _usage_error(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return BAD_INPUT
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "scalebayes"
    return _fail(f"{error.format_message().rstrip('.')} (see {path} --help)", BAD_INPUT)


def _each_once() -> Callable[..., None]:
    """A function that prints a warning on one line, and the same warning only once."""
    shown = set()

    def show(message: Any, *_: Any, **__: Any) -> None:
        if (text := one_line(str(message))) not in shown:
            shown.add(text)
            print(f"warning: {text}", file=sys.stderr)

    return show
