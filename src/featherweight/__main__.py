"""`python -m featherweight` is the command line."""

from featherweight.cli import main

main()
