"""Run the command line as a module: `python -m scalebayes.cli`."""

from scalebayes.cli.app import main

main()
