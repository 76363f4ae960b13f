"""A newer major version of the schema is refused by name; a newer minor one is read."""

from __future__ import annotations

import pytest

from harness.records import SCHEMA
from harness.results.schema import SchemaMismatchError, check_schema


def test_a_newer_major_version_of_the_schema_is_refused_and_a_newer_minor_one_is_read():
    major, minor, patch = SCHEMA.split(".")
    check_schema({"schema": f"{major}.{int(minor) + 1}.{patch}"}, source="plan.json")
    with pytest.raises(SchemaMismatchError, match=r"plan.json has schema .* update attnbench"):
        check_schema({"schema": f"{int(major) + 1}.0.0"}, source="plan.json")


def test_an_older_major_version_is_read():
    check_schema({"schema": "0.9"}, source="plan.json")
    check_schema({"schema": SCHEMA.split(".", maxsplit=1)[0]}, source="plan.json")


@pytest.mark.parametrize("version", [None, "", "x.1", "one", [1], {"major": 1}])
def test_a_version_that_can_not_be_read_is_refused_with_what_stood_there(version):
    with pytest.raises(SchemaMismatchError, match=r"^plan\.json has no schema version that can be read: ") as refused:
        check_schema({"schema": version}, source="plan.json")
    assert str(version) in str(refused.value)


def test_a_document_without_a_version_is_refused():
    with pytest.raises(SchemaMismatchError, match="can be read: ''"):
        check_schema({}, source="plan.json")


def test_little_of_a_long_version_is_told():
    with pytest.raises(SchemaMismatchError) as refused:
        check_schema({"schema": "9" * 5000}, source="plan.json")
    assert len(str(refused.value)) < 200
