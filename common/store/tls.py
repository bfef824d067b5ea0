"""TLS to Redis: what a URL's `ssl_…` options name is looked at before a connection needs it, and what went wrong is
said with the option that mends it.

Without `ssl_ca_certs` and `ssl_ca_path` the machine's authorities are trusted, or those that SSL_CERT_FILE names.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["check_tls_files", "tls_remedy"]

_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_UNTRUSTED: Final = "name the authority that signed Redis' certificate: ?ssl_ca_certs=FILE in the URL, or SSL_CERT_FILE"
_REMEDIES: Final = (
    ("Hostname mismatch", "use the name in the URL that Redis' certificate is for"),
    ("IP address mismatch", "use the name in the URL that Redis' certificate is for"),
    ("certificate has expired", "renew Redis' certificate"),
    ("CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    ("CERTIFICATE_REQUIRED", "Redis wants a client certificate: ?ssl_certfile=FILE&ssl_keyfile=FILE in the URL"),
    ("ALERT_UNKNOWN_CA", "Redis does not trust the client certificate that ssl_certfile names"),
    ("ALERT_BAD_CERTIFICATE", "Redis does not take the client certificate that ssl_certfile names"),
)


def check_tls_files(options: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a file among a connection's `options` that is missing or not what it should be."""
    for name in _FILES:
        path = options.get(name)
        if path and not Path(path).exists():
            raise ValueError(f"{name}: there is no {path}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities, certificate = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    if authorities:
        try:
            context.load_verify_locations(cafile=authorities)
        except OSError as error:
            raise ValueError(f"ssl_ca_certs: {authorities} holds no certificates in PEM ({_why(error)})") from None
    if options.get("ssl_keyfile") and not certificate:
        raise ValueError("ssl_keyfile needs ssl_certfile")
    if certificate:
        try:
            # An empty password: without any, OpenSSL asks the terminal for one.
            password = options.get("ssl_password") or ""
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), password=password)
        except OSError as error:
            raise ValueError(
                f"ssl_certfile, ssl_keyfile: no certificate with its key in PEM can be read ({_why(error)})"
            ) from None


def tls_remedy(message: str) -> str:
    """What to do about the error `message` of a TLS connection, to be put behind it; "" if it is of none."""
    return next((f"; {remedy}" for sign, remedy in _REMEDIES if sign.lower() in message.lower()), "")


def _why(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
