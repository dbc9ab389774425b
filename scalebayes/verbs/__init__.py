"""The verbs of the command line, which `cli` puts together."""
