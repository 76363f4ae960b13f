"""Certificates are all given or none, and temporary ones are this user's alone."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from harness.cluster.tls import CertificateError, Certificates, address_in, check, given, security, temporary


def test_some_certificates_are_none(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    assert given(None, None, None) is None
    with pytest.raises(CertificateError, match="--tls-cert, --tls-key must be given too"):
        given(ca, None, None)
    with pytest.raises(CertificateError, match=r"--tls-key .*no\.pem can't be read"):
        given(ca, ca, tmp_path / "no.pem")
    assert given(ca, ca, ca) == Certificates(str(ca), str(ca), str(ca))


def test_an_address_and_certificates_go_together(tmp_path):
    keys, file = Certificates("ca", "cert", "key"), tmp_path / "sched.json"
    check(keys, address="tls://10.0.0.1:8786")
    check(None, address="10.0.0.1:8786")
    with pytest.raises(CertificateError, match=r"at tcp://a:1 is not encrypted: .* want tls://"):
        check(keys, address="tcp://a:1")
    with pytest.raises(CertificateError, match="gone: no such file, and no address of a scheduler"):
        check(None, address="gone")
    with pytest.raises(CertificateError, match=r"sched\.json is no file that a scheduler wrote"):
        check(None, scheduler_file=str(file))
    file.write_text('{"address": "tls://10.0.0.1:8786"}')
    check(keys, scheduler_file=str(file))
    with pytest.raises(CertificateError, match=r"at tls://10\.0\.0\.1:8786 wants certificates: --tls-ca"):
        check(None, scheduler_file=str(file))


def test_a_schedulers_file_is_read_once_it_is_whole(tmp_path):
    file = tmp_path / "sched.json"
    file.write_text('{"address": "tcp')
    with pytest.raises(CertificateError, match=r"sched\.json is no file that a scheduler wrote"):
        address_in(str(file), seconds=0.0)
    writer = threading.Timer(0.3, file.write_text, ['{"address": "tcp://10.0.0.1:8786"}'])
    writer.start()
    check(None, scheduler_file=str(file))
    assert address_in(str(file)) == "tcp://10.0.0.1:8786"
    writer.join()


def test_temporary_certificates_are_readable_by_their_user_alone_and_required(tmp_path):
    pytest.importorskip("distributed")
    made = temporary(tmp_path)
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in (made.ca, made.cert, made.key)} == {0o600}
    assert security(made).require_encryption
    assert security(None) is None
