"""Certificates between coordinator, scheduler and workers: those of the user, or temporary ones for one host."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed.security import Security

# A scheduler on a busy host may take seconds to write its file; between two looks at it, in seconds.
FILE_SECONDS, FILE_TICK = 5.0, 0.1


class CertificateError(ValueError):
    """The certificates given are not enough, or can't be read."""


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: the authority, and a certificate with its key that it signed."""

    ca: str
    cert: str
    key: str


def given(ca: Path | None, cert: Path | None, key: Path | None) -> Certificates | None:
    """Return the certificates named on a command line, None if none is. Raises CertificateError for some of them."""
    files = {"--tls-ca": ca, "--tls-cert": cert, "--tls-key": key}
    if not any(files.values()):
        return None
    missing = [name for name, file in files.items() if file is None]
    if missing:
        raise CertificateError(f"{', '.join(missing)} must be given too: the engine takes all three or none")
    unreadable = [f"{name} {file}" for name, file in files.items() if file is None or not os.access(file, os.R_OK)]
    if unreadable:
        raise CertificateError(f"{unreadable[0]} can't be read")
    return Certificates(*(str(file.resolve()) for file in files.values() if file))


def check(certificates: Certificates | None, *, address: str = "", scheduler_file: str = "") -> None:
    """Hold a scheduler's address, or that in the file it wrote, against what is there to reach it with.

    Raises CertificateError for certificates at an open scheduler or none at an encrypted one, and for a torn file.
    """
    if scheduler_file:
        address = address_in(scheduler_file)
    elif ":" not in address:
        raise CertificateError(f"{address}: no such file, and no address of a scheduler (tcp://HOST:PORT)")
    is_encrypted = address.startswith("tls://")
    if certificates and not is_encrypted:
        raise CertificateError(
            f"the scheduler at {address} is not encrypted: --tls-ca, --tls-cert, --tls-key want tls://"
        )
    if is_encrypted and not certificates:
        raise CertificateError(f"the scheduler at {address} wants certificates: --tls-ca, --tls-cert, --tls-key")


def address_in(file: str, *, seconds: float = FILE_SECONDS) -> str:
    """Return the address in the file that a scheduler wrote, or is writing: it is there before it is whole.

    Raises CertificateError where it is none, or still torn after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return str(json.loads(Path(file).read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, OSError) or time.monotonic() >= deadline:
                raise CertificateError(f"{file} is no file that a scheduler wrote") from None
        time.sleep(FILE_TICK)


def temporary(folder: Path) -> Certificates:
    """Make certificates that are good for a day's work on one host, in files that this user alone can read."""
    from distributed.security import Security

    secured: Any = Security
    made = secured.temporary()
    paths = []
    for name, text in (
        ("ca.pem", made.tls_ca_file),
        ("cert.pem", made.tls_client_cert),
        ("key.pem", made.tls_client_key),
    ):
        path = folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        paths.append(str(path))
    return Certificates(*paths)


def security(certificates: Certificates | None) -> Security | None:
    """Return what the engine takes for certificates, in each of its roles; None without any."""
    if certificates is None:
        return None
    from distributed.security import Security

    roles = {
        f"tls_{role}_{part}": getattr(certificates, part)
        for role in ("client", "worker", "scheduler")
        for part in ("cert", "key")
    }
    made: Any = Security
    secured: Security = made(tls_ca_file=certificates.ca, require_encryption=True, **roles)
    return secured
