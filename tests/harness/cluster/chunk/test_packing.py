"""A run directory comes out of its archive as it went in, and nothing is written elsewhere."""

from __future__ import annotations

import io
import tarfile

import pytest

from harness.cluster.chunk.packing import pack, unpack


def test_files_come_back_and_links_do_not(tmp_path):
    run = tmp_path / "run"
    (run / "deep").mkdir(parents=True)
    (run / "journal.jsonl").write_bytes(b"a line\n" * 1000)
    (run / "deep" / "plan.json").write_bytes(b"{}")
    (run / "link").symlink_to("/etc/passwd")
    packed = pack(run)
    assert len(packed) < 1000
    unpack(packed, tmp_path / "there")
    found = {str(path.relative_to(tmp_path / "there")) for path in (tmp_path / "there").rglob("*") if path.is_file()}
    assert found == {"journal.jsonl", "deep/plan.json"}
    assert (tmp_path / "there" / "journal.jsonl").read_bytes() == (run / "journal.jsonl").read_bytes()


def archive(name, kind=tarfile.REGTYPE):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        made.addfile(member)
    return packed.getvalue()


@pytest.mark.parametrize(
    "packed",
    [archive("../out"), archive("link", tarfile.SYMTYPE), b"torn", b""],
    ids=["outside", "link", "torn", "empty"],
)
def test_what_is_no_run_is_refused(tmp_path, packed):
    with pytest.raises(ValueError, match=r"archive|unpacked"):
        unpack(packed, tmp_path / "there")
    assert not (tmp_path / "out").exists()
