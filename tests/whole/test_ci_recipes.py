"""The recipes of docs/ci.md run without their services: the steps of gate and comment, GitLab's lines, the shell's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.support.places import ROOT
from tests.support.workflows import blocks, listed, shell_steps

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
KERNEL = shell_steps((ROOT / ".github" / "workflows" / "kernel.yml").read_text())
COMMENT = shell_steps((ROOT / ".github" / "workflows" / "comment.yml").read_text())
PAGE = (ROOT / "docs" / "ci.md").read_text()
# So that a run takes seconds beside other tests: appended to what a recipe runs, of which it takes the last words.
SMALL = "--fast --threads 1 --impl mine --impl batched -a n=16"
# Recipes that run the same kernel by the same words share what the first of them measured.
PROGRAM = f"""#!/usr/bin/env bash
if [ "$1" != run ]; then exec {sys.executable} -m attnbench "$@"; fi
ran="$RUNS/$(cat my_kernel.py - <<< "$*" | cksum | tr -d ' ')" out="${{@: -1}}"
if [ ! -e "$ran.code" ]; then
  code=0
  {sys.executable} -m attnbench "$@" {SMALL} || code=$?
  cp -r "$out" "$ran"
  echo "$code" > "$ran.code"
else
  mkdir -p "$(dirname "$out")"
  cp -r "$ran" "$out"
fi
exit "$(cat "$ran.code")"
"""
MINE = """
import torch
from attnbench import register


@register(problem="attention", name="mine", devices=("cpu",), dtypes=("float32",))
def mine(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""
WRONG = MINE.replace("return (", "return 0.9 * (")
GREEDY = MINE.replace("    return", "    k = torch.cat([k, k], -2)[..., : k.shape[-2], :]\n    return")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Where the runs lie that recipes share."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def place(tmp_path, monkeypatch, runs):
    """A repository of a kernel, and `attnbench` on the path: what is installed here, with small runs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "attnbench"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "my_kernel.py").write_text(MINE)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RUNS", str(runs))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_PATH", str(tmp_path / "path"))
    return repository


def shell(script, folder, **variables):
    """Run a step as the service does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )


def inputs(text):
    """Return the defaults of a reusable workflow's inputs as its job's variables."""
    found = re.findall(
        r"^      ([a-z-]+):\n        description: .*\n        type: string\n        default: (.*)$", text, re.MULTILINE
    )
    return {name.replace("-", "_").upper(): value.strip('"') for name, value in found}


@pytest.mark.slow
def test_the_steps_of_the_gate_from_the_first_run_to_a_regression(place, tmp_path):
    workflow = (ROOT / ".github" / "workflows" / "kernel.yml").read_text()
    variables = inputs(workflow) | {"IMPL_FILE": "my_kernel.py"}
    assert set(re.findall(r"^      ([A-Z_]+): \$\{\{ inputs", workflow, re.MULTILINE)) == set(variables)
    summary = tmp_path / "summary.md"

    def steps():
        summary.write_text("")
        shutil.rmtree(place / "runs", ignore_errors=True)
        return {name: shell(script, place, **variables) for name, script in KERNEL.items() if name != "Install"}

    def codes(done):
        return [done[name].returncode for name in ("Measure", "Gate", "Times, for information", "A baseline to keep")]

    first = steps()
    assert codes(first) == [0, 2, 0, 0], first
    assert "baselines has no baselines" in summary.read_text()
    kept = place / "runs" / "baselines" / "smoke.json"
    (place / "baselines").mkdir()
    shutil.copy(kept, place / "baselines")

    same = steps()
    assert codes(same) == [0, 0, 0, 0], same
    said = summary.read_text()
    assert all(f"{demand}" in said for demand in ("memory:1%", "operations:1%", "disagreed"))
    assert said.index("attnbench compare") < said.index("batched")
    assert {path.name for path in (place / "runs").iterdir()} >= {"gate.md", "gate.xml", "changes.html", "kernel"}

    (place / "my_kernel.py").write_text(GREEDY)
    assert codes(steps()) == [0, 1, 0, 0]
    assert "memory:1%: FAILED in 1 of " in summary.read_text()
    assert "disagreed: FAILED" not in summary.read_text()


def test_what_the_gate_installs_is_pinned_and_there():
    install = KERNEL["Install"]
    assert "--constraint .attnbench/constraints.txt" in install
    assert (ROOT / "constraints.txt").is_file()
    assert (ROOT / tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"]).is_file()


@pytest.mark.slow
def test_the_lines_for_gitlab_run(place):
    (text,) = [block for block in blocks(PAGE, language="yaml") if "attnbench compare" in block]
    lines = [line for line in listed(text, "script") if not line.startswith("pip install")]
    kept = listed(text, "after_script")
    assert shell(lines[0], place).returncode == 0
    (place / "baselines").mkdir()
    assert shell("\n".join(kept), place).returncode == 0
    shutil.copy(place / "runs" / "baselines" / "smoke.json", place / "baselines")
    done = shell("\n".join(lines[1:]), place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "runs" / "gate.xml").is_file()
    assert (place / "runs" / "times.md").read_text()


@pytest.mark.slow
def test_the_plain_shell_keeps_a_baseline_and_then_compares(place):
    (script,) = [block for block in blocks(PAGE, language="sh") if "attnbench compare" in block]
    (place / ".venv").mkdir()
    first = shell(script, place)
    assert first.returncode == 0, first.stderr
    assert "baselines/smoke.json is new: commit it" in first.stdout
    (place / "my_kernel.py").write_text(WRONG)
    assert shell(script, place).returncode == 3
    gate = re.search(r"^attnbench compare .*$", script, re.MULTILINE)[0]
    wrong = shell(gate, place)
    assert (wrong.returncode, "disagreed: FAILED in 1 of " in wrong.stdout) == (1, True), wrong.stdout


HOSTILE = "## fine\n```\n@everyone <img src=x> [here](https://example.com)\x1b[31m\n````\n- memory:1% holds\n"


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A folder where the commenter's step runs, and a `gh` that writes down what it is asked."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "gh"
    program.write_text(
        '#!/usr/bin/env bash\nprintf \'%s\\n\' "$*" >> "$ASKED"\n'
        'case "$*" in "pr list"*) echo "$NUMBERS";; *--paginate*) echo "$KNOWN";; esac\n'
    )
    program.chmod(0o755)
    (tmp_path / "found").mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    for name, value in {"REPOSITORY": "owner/kernel", "COMMIT": "abc123", "PAGE": "https://example.com/job"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def comment(service, *, numbers="7\n8", known=""):
    done = shell(COMMENT["Comment"], service, NUMBERS=numbers, KNOWN=known)
    assert done.returncode == 0, done.stderr
    return (service / "asked").read_text().splitlines()


def test_a_comment_quotes_whatever_a_pull_request_left(service):
    (service / "found" / "gate.md").write_bytes(HOSTILE.encode() + b"\xff\xfe cut \xe2\x82")
    asked = comment(service)
    assert asked[-1] == "api --silent --method POST repos/owner/kernel/issues/7/comments -F body=@body.md"
    lines = (service / "body.md").read_text(encoding="utf-8").splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    assert len(fences) == 2
    assert fences[1] == len(lines) - 1
    inside = lines[fences[0] + 1 : fences[1]]
    assert "@everyone <img src=x> [here](https://example.com)[31m" in inside
    assert "- memory:1% holds" in inside
    assert not any("`" in line for line in inside)


def test_a_later_comment_edits_the_first(service):
    (service / "found" / "gate.md").write_text("fine\n")
    assert "--method PATCH repos/owner/kernel/issues/comments/55 " in comment(service, known="55\n66")[-1]


def test_without_a_result_the_comment_says_so_and_a_link_is_no_result(service):
    comment(service)
    assert "nothing: the job left no gate.md" in (service / "body.md").read_text()
    (service / "secret").write_text("a secret")
    (service / "found" / "gate.md").symlink_to(service / "secret")
    comment(service)
    assert "a secret" not in (service / "body.md").read_text()


def test_no_open_pull_request_is_no_comment(service):
    assert len(comment(service, numbers="")) == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_no_foreign_text_to_a_shell_and_few_rights(path):
    text = path.read_text()
    assert not [name for name, script in shell_steps(text).items() if "${{" in script]
    assert re.search(r"^permissions:\n  \w", text, re.MULTILINE)
    assert "pull_request_target" not in text
    assert "secrets" not in text
    may_write = "write" in text[text.index("permissions:") : text.index("jobs:")]
    assert may_write == (path.name == "comment.yml")
    if may_write:
        assert "checkout" not in text
        assert set(shell_steps(text)) == {"Comment"}


def test_a_release_is_published_by_a_job_that_runs_nothing_of_the_repository():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    build, publish = text.split("  publish:\n")
    assert "id-token" not in build
    assert "twine check --strict" in build
    assert "needs: build\n" in publish
    assert "id-token: write" in publish
    assert "run:" not in publish
    assert "checkout" not in publish


def test_a_step_that_is_given_foreign_text_is_found():
    planted = "    steps:\n      - name: Say\n        run: |\n          echo ${{ github.event.pull_request.title }}\n"
    assert "${{" in shell_steps(planted)["Say"]


def test_actionlint_finds_no_mistake():
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed")
    # Words are split on purpose where an input holds several, which its other tool would question.
    done = subprocess.run(
        [program, "-no-color", "-shellcheck=", *map(str, WORKFLOWS)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_committed_baseline_is_of_what_the_gate_measures():
    from harness.comparing import baselines
    from scenarios import catalog

    kept = baselines.read(ROOT / "baselines" / "smoke.json")
    assert kept.stable["threads"] == 2
    assert {figures.case.scenario for figures in kept.cases} == {"smoke"}
    sizes = {figures.case.point["n"] for figures in kept.cases}
    assert sizes == set(next(axis for axis in catalog.find("smoke").axes if axis.name == "n").values)


def test_links_of_the_page_lead_somewhere():
    for link in re.findall(r"\]\(([a-z]+\.md)(?:#([a-z-]+))?\)", PAGE):
        target = ROOT / "docs" / link[0]
        headings = {
            re.sub(r"[^a-z -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in target.read_text().splitlines()
            if line.startswith("#")
        }
        assert not link[1] or link[1] in headings
