"""The command line: the package's verbs from a shell."""

from scalebayes.cli.app import main

__all__ = ["main"]
