"""`python -P -m harness.cluster SETTINGS`: the worker of one device; see serving.py."""

from harness.cluster.serving import main

main()
