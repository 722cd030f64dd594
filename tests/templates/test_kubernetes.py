"""The Kubernetes template: valid by the official schema, and true of this program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from sweep.cli import main
from sweep.errors import StoreUnreachableError, SweepError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "templates" / "kubernetes.yaml"
USAGE = 2


@pytest.fixture
def documents():
    return list(yaml.safe_load_all(TEMPLATE.read_text()))


@pytest.fixture
def job(documents):
    return documents[1]["spec"]


@pytest.fixture
def pod(job):
    return job["template"]["spec"]


@pytest.fixture
def containers(pod):
    return pod["initContainers"] + pod["containers"]


@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_every_document_fits_the_official_schema(documents, version):
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    for document in documents:
        validator.validate(document, version, strict=True)


def test_a_misspelt_field_would_not_fit(documents):
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed"
    )
    documents[1]["spec"]["paralelism"] = 3
    with pytest.raises(validator.ValidationError, match="paralelism"):
        validator.validate(documents[1], "1.31", strict=True)


def verdict(rules, code):
    """Return what the first rule that fits an exit code does with the Job."""
    for rule in rules:
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In"):
            return rule["action"]
    return "Count"


def test_a_wrong_command_fails_the_job_and_a_missing_store_does_not(job):
    rules = job["podFailurePolicy"]["rules"]
    assert verdict(rules, USAGE) == "FailJob"
    assert verdict(rules, SweepError.exit_code) == "FailJob"
    assert verdict(rules, StoreUnreachableError.exit_code) == "Count"
    assert [verdict(rules, code) for code in (130, 137, 143)] == ["Count"] * 3


def test_an_evicted_pod_counts_as_no_failure(job, pod):
    first = job["podFailurePolicy"]["rules"][0]
    assert first["action"] == "Ignore"
    assert first["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert pod["restartPolicy"] == "Never"  # the rules need it


def test_workers_go_on_until_one_has_seen_the_study_done(job):
    assert job["parallelism"] > 1
    assert "completions" not in job
    assert "completionMode" not in job


def test_every_command_is_one_of_sweep(containers, monkeypatch, documents):
    for name, value in documents[0]["data"].items():
        monkeypatch.setenv(name, value)
    for container in containers:
        name, *arguments = container["args"]
        main.commands[name].make_context(name, arguments)
    begin, worker = (container["args"] for container in containers)
    assert "--begin-only" in begin
    assert f"--study={worker[1]}" in begin


def test_passwords_come_from_the_secret_alone(documents, containers):
    for container in containers:
        assert {"secretRef": {"name": "sweep-stores"}} in container["envFrom"]
    assert not re.search(r"://[^/\s]*:[^/\s]*@", TEMPLATE.read_text())
    assert not [name for name in documents[0]["data"] if "PASSWORD" in name]


def test_pods_have_no_rights_that_they_do_not_need(pod, containers):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in containers:
        confined = container["securityContext"]
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["readOnlyRootFilesystem"] is True
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["data"]["readOnly"] is True


def test_the_image_has_what_the_job_needs(containers):
    recipe = (ROOT / "templates" / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extra,) = re.findall(r"sweep\[(\w+)\]'", recipe)
    assert extra in project["optional-dependencies"]
    assert f"sweep:{project['version']}" in recipe
    assert all(one["image"].endswith(f"sweep:{project['version']}") for one in containers)
    assert 'ENTRYPOINT ["sweep"]' in recipe
    assert "\nUSER 1000" in recipe
