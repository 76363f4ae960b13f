"""Error analysis that the problems share: bounds on rounding errors, and the lengths that masks are made of."""
