"""Figures: each a function of the tidy table, drawn with seaborn and matplotlib."""
