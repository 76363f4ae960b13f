"""The pages of the repository: what they link to is there, what they state twice is the same."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from attnbench import __version__
from tests.support.places import ROOT

FOLDERS = (".", "docs", "docs/samples", "examples", "examples/plugin")
PAGES = sorted(file for folder in FOLDERS for file in (ROOT / folder).glob("*.md"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page, text):
    """The links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    assert not broken(page, page.read_text(encoding="utf-8"))


def test_a_link_to_nothing_is_found():
    text = "[a](nowhere.md) [b](#no-such-heading) [c](LICENSE) [d](docs/verdict.md#nothing) [e](https://example.org)"
    assert broken(ROOT / "README.md", text) == ["nowhere.md", "#no-such-heading", "docs/verdict.md#nothing"]


def test_the_index_of_docs_has_every_page_once():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        named = len(re.findall(rf"^\| \[[^]]*\]\({page.name}\)", index, re.MULTILINE))
        assert page.name in {"README.md", "glossary.md"} or named == 1, page.name
    assert "](glossary.md)" in index


def test_every_page_that_a_program_writes_is_in_the_list_of_those():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    says = re.compile(r"^Written by `|^`nox -s \w+` wrote this", re.MULTILINE)
    written = [page for page in (ROOT / "docs").glob("*.md") if says.search(page.read_text(encoding="utf-8"))]
    assert len(written) > 5
    for page in written:
        assert f"| docs/{page.name}" in contributing, page.name


def test_the_citation_names_this_version_and_licence():
    citation = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (__version__, project["license"])


def test_commits_are_checked_by_the_pinned_ruff():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = re.search(r"^ruff==.*$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"ruff==[\d.]+", hooks)) == {pinned[0]}


@pytest.mark.parametrize("form", ["bug.yml", "disagreement.yml"])
def test_a_report_of_a_mistake_asks_for_the_doctor(form):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / form).read_text(encoding="utf-8")
    part = text[text.index("label: attnbench doctor --json") :].split("  - type:")[0]
    assert "required: true" in part


def test_files_that_git_keeps_end_as_editors_are_told_to():
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "*.yml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    for name in listed.stdout.splitlines():
        file = ROOT / name
        assert not file.is_file() or file.read_bytes().endswith(b"\n"), name
