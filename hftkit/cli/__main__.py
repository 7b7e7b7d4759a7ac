"""`python -m hftkit.cli`: the command line, as `hftkit` starts it."""

from hftkit.cli.application import main

main()
