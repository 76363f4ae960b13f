"""How attention is measured and judged."""
