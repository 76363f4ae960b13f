"""What axe finds on a page in a browser; of elements that are alike, it need not look at every one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

# So many of each kind stay: one alone would have no neighbour.
OF_EACH = 3
# What an element is: itself and its parent, their classes, the names of its attributes, its role and its own colours.
KIND = """(element) => {
  const named = (one) => one ? [one.tagName, ...[...one.classList].sort()].join(".") : "";
  const attributes = [...element.attributes].map((one) => one.name).sort();
  const said = ["role", "fill", "stroke"].map((name) => element.getAttribute(name));
  const style = (element.getAttribute("style") || "").replace(/[\\d.-]+/g, "0");
  return `${named(element.parentElement)} > ${named(element)} ${attributes} ${said} ${style}`;
}"""
# Rows of tables and marks of drawings are alike; over a page of 25,000 elements axe takes 6 s, over the others 1 s.
THIN = f"""(ofEach) => {{
  const kind = {KIND};
  const whole = (element) => [element, ...element.querySelectorAll("*")].map(kind).join("\\n");
  let left;
  do {{
    left = document.querySelectorAll("*").length;
    const seen = new Map();
    // A group in a drawing is a mark once nothing is left in it.
    document.querySelectorAll("tbody > tr, .drawing svg *:not(:has(*))").forEach((element) => {{
      const is = whole(element);
      seen.set(is, (seen.get(is) || 0) + 1);
      if (seen.get(is) > ofEach) element.remove();
    }});
  }} while (document.querySelectorAll("*").length < left);
}}"""


def kinds(page: Page) -> set[str]:
    """Return every kind of element that a page has."""
    return set(page.evaluate(f'() => [...document.querySelectorAll("*")].map({KIND})'))


def thin(page: Page) -> None:
    """Take from a page the rows and marks of which enough stay that are alike in all but where they are."""
    page.evaluate(THIN, OF_EACH)


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """Return each rule that a page violates, with the first elements that do."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found]
