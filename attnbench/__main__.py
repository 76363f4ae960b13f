"""`python -m attnbench`, the command line from a checkout."""

from attnbench import main

main()
