"""Run a command line: bad input ends it with one clear line on stderr and exit code 2."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD_INPUT = 2
INTERRUPTED = 130

IN_SHELL = (
    (r"\{'(\w+)': ([^}]+)\}", r"\1=\2"),
    (r"\bunits=", "--units "),
    (r"\bnew_families=\['([^']*)'\]", r"--new-family '\1'"),
    (r"\btokens=None", "--tokens-col none"),
    (r"\bmethod='([^']*)'", r"--method \1"),
    (r"\bhold_out\b", "--hold-out"),
    (r"\btarget_accept\b", "--target-accept"),
    (r"\bmax_tree_depth\b", "--max-tree-depth"),
    (r"\btokens_per_param=\(low, high\)", "--tokens-per-param LOW,HIGH"),
    (r"\bflops=\(low, high\)", "--flops LOW,HIGH"),
    (r"pass extra='ignore' to leave such columns out", "leave such columns out of the file"),
)
"""What the library's messages call an argument, and what the shell calls it."""

# typer carries click inside in some versions and depends on it in others
_USAGE: Any = tuple(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run an app and return the exit code: 2 for bad input, of which stderr has one line.

    With SCALEBAYES_TRACEBACK set in the environment errors keep their traceback.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        for chatter in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", chatter)
        return _run(app, arguments)


def _run(app: typer.Typer, arguments: Sequence[str] | None) -> int:
    try:
        code = app(arguments, standalone_mode=False, prog_name="scalebayes")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except _USAGE as error:
        return _usage_error(error)
    except (ImportError, OSError, TypeError, ValueError) as error:
        if os.environ.get("SCALEBAYES_TRACEBACK"):
            raise
        return _fail(_says(error), BAD_INPUT)
    return code if isinstance(code, int) else 0


def one_line(message: str) -> str:
    """Put a message of the library on one line, its remedies in the words of the shell."""
    message = re.sub(r":\n\s*", ": ", message.strip())
    message = re.sub(r"\s*\n\s*", "; ", message)
    for pattern, replacement in IN_SHELL:
        message = re.sub(pattern, replacement, message)
    return message


def _says(error: Exception) -> str:
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


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {one_line(str(message))}", file=sys.stderr)
