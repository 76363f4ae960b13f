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
