"""The first screen: what a run answers, its verdicts, and doubts about the measurement."""
