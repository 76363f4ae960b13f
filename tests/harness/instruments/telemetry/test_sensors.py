"""Every reading of a device is there or has a reason: NVML's of a GPU, the system's of a processor."""

from __future__ import annotations

import pytest

from harness.instruments.telemetry import sensors


def counter(root, package, joules, *, limit=262_143_328_850):
    folder = root / f"sys/class/powercap/intel-rapl:{package}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(str(round(joules * 1e6)))
    (folder / "max_energy_range_uj").write_text(str(limit))


def test_rapl_adds_packages_and_leaves_their_parts_out(tmp_path):
    for package in ("0", "1", "0:0"):
        counter(tmp_path, package, 10)
    joules = sensors.rapl(root=tmp_path)
    for package in ("0", "1", "0:0"):
        counter(tmp_path, package, 12)
    assert joules() == pytest.approx(4)


def test_a_wrapped_rapl_register_counts_on(tmp_path):
    counter(tmp_path, "0", 0.9, limit=999_999)
    joules = sensors.rapl(root=tmp_path)
    counter(tmp_path, "0", 0.1, limit=999_999)
    assert joules() == pytest.approx(0.2)


def test_rapl_without_permission_says_so(tmp_path, monkeypatch):
    counter(tmp_path, "0", 1)

    def refused(path, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "read_text", refused)
    with pytest.raises(sensors.ReadingError, match=r"no permission to read .*energy_uj, which is root's"):
        sensors.rapl(root=tmp_path)


def test_a_readable_rapl_gives_power_and_energy(tmp_path):
    counter(tmp_path, "0", 1)
    available = sensors.cpu_probe(root=tmp_path)
    assert available.energy is not None
    assert "power_w" in available.readings
    assert "energy_j" not in available.reasons
