"""The page: one HTML file with its figures, its data and nothing to fetch."""
