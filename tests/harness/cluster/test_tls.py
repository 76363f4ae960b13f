"""Certificates are all given or none, and temporary ones are this user's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from harness.cluster.tls import CertificateError, Certificates, given, security, temporary


def test_some_certificates_are_none(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    assert given(None, None, None) is None
    with pytest.raises(CertificateError, match="--tls-cert, --tls-key must be given too"):
        given(ca, None, None)
    with pytest.raises(CertificateError, match=r"--tls-key .*no\.pem can't be read"):
        given(ca, ca, tmp_path / "no.pem")
    assert given(ca, ca, ca) == Certificates(str(ca), str(ca), str(ca))


def test_temporary_certificates_are_readable_by_their_user_alone_and_required(tmp_path):
    pytest.importorskip("distributed")
    made = temporary(tmp_path)
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in (made.ca, made.cert, made.key)} == {0o600}
    assert security(made).require_encryption
    assert security(None) is None
