"""`python -m kefu`: the command line."""

from kefu.cli import main

main()
