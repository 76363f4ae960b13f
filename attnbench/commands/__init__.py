"""One file per command of the command line. Their bodies import what they need when called."""
