"""The chapters of the page: which figures and tables a run gives rise to."""
