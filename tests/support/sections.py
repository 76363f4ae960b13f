"""Parts of a page that scripts write: what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`."""

from __future__ import annotations


def replaced(page, name, text):
    """Return a page with the section's text replaced. Raises ValueError where the page has no such section."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page has no section {name!r}: {begin} ... {end}")
    return f"{before}{begin}\n{text.strip()}\n{end}{after}"
