"""The tutorial, run on this machine."""
