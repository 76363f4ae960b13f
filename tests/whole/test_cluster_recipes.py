"""What docs/cluster.md has for shells, Slurm, Kubernetes and GitHub is what those read."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
SHELL, YAML = "bash", "yaml"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def document(mark):
    (found,) = [block for block in blocks(YAML) if mark in block]
    return yaml.safe_load(found)


def mistakes_in(script):
    """Return what bash says against a script, and its variables that a blank would split in two."""
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    lines = [line.partition(" # ")[0] for line in script.splitlines() if not line.startswith("#")]
    bare = [word for line in lines for word in re.findall(r"\$\w+", re.sub(r'"[^"]*"', "", line))]
    return [*parsed.stderr.splitlines(), *bare]


@pytest.mark.parametrize("script", blocks(SHELL))
def test_a_shell_takes_the_scripts(script):
    assert mistakes_in(script) == []


def test_a_script_that_a_shell_does_not_take_is_found():
    assert mistakes_in("until true; do\n")
    assert mistakes_in('attnbench run -o part-$N "$M"\n') == ["$N"]


def test_slurm_finds_its_options_before_the_first_command():
    scripts = [script for script in blocks(SHELL) if "#SBATCH" in script]
    assert len(scripts) == 2
    for script in scripts:
        first, second, *rest = script.splitlines()
        assert first == "#!/bin/bash"
        assert all(word.startswith("--") for word in second.removeprefix("#SBATCH ").split())
        assert not any(line.startswith("#SBATCH") for line in rest)


def test_what_runs_beside_the_sweep_of_a_job_is_in_the_background():
    (script,) = [script for script in blocks(SHELL) if "dask scheduler" in script]
    waiting = [line for line in script.splitlines() if line.startswith(("dask", "srun"))]
    assert len(waiting) == 2
    assert all(line.endswith(" &") for line in waiting)


def test_a_daemon_set_selects_its_pods_and_mounts_what_it_names():
    made = document("kind: DaemonSet")
    assert (made["apiVersion"], set(made)) == ("apps/v1", {"apiVersion", "kind", "metadata", "spec"})
    spec, pod = made["spec"], made["spec"]["template"]["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    words = [*container["command"], *container["args"]]
    assert all(isinstance(word, str) for word in words)
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert all(any(word.startswith(f"{place}/") for place in places) for word in words if word.startswith("/"))


def test_each_job_of_a_workflow_has_a_machine_and_steps_and_needs_what_there_is():
    workflow = document("actions/upload-artifact")
    # YAML 1.1 takes the key `on` for a truth.
    assert workflow[True] == "workflow_dispatch"
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job.get("needs", "part") in workflow["jobs"]
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
