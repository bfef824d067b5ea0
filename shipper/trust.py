"""Whom to believe to be Coder: the certificate authorities, by the system or by SSL_CERT_FILE and SSL_CERT_DIR."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi

__all__ = ["TrustError", "trusted_authorities"]


class TrustError(Exception):
    """The configured certificates cannot be used; the message says which and why."""


def trusted_authorities(cert_file: Path | None, cert_dir: Path | None) -> ssl.SSLContext:
    """A client context that verifies by `cert_file` and `cert_dir` if one is given, else by the system's store.

    Raises TrustError for a file that holds no certificate.
    """
    try:
        if cert_file is not None or cert_dir is not None:
            return ssl.create_default_context(cafile=cert_file, capath=cert_dir)
        context = ssl.create_default_context()
        if not context.get_ca_certs() and not _has_system_store():
            # A minimal container image may have none.
            context.load_verify_locations(cafile=certifi.where())
        return context
    except (ssl.SSLError, OSError) as error:
        raise TrustError(f"SSL_CERT_FILE or SSL_CERT_DIR: {cert_file or cert_dir} holds no PEM certificate") from error


def _has_system_store() -> bool:
    directory = Path(ssl.get_default_verify_paths().openssl_capath)
    return directory.is_dir() and any(directory.iterdir())
