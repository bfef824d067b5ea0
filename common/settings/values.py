"""Types of setting values that check themselves. Pure, but for those of files, which look into them.

Each check raises ValueError with the second half of a sentence that begins with the setting's name and value.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from common.settings.token_keys import TokenKeyFile, TokenKeys, parse_token_keys, read_token_key_file
from common.store.address import is_sentinel, parse_sentinel

__all__ = [
    "AUTO",
    "UNIX",
    "Address",
    "Bytes",
    "Count",
    "ExistingDirectory",
    "ExistingFile",
    "ExpandedPath",
    "HttpUrl",
    "KeyPrefix",
    "Namespaces",
    "ProbeAddress",
    "RedactFile",
    "RedisUrl",
    "Seconds",
    "SecretName",
    "TokenKeyFileField",
    "TokenKeysField",
    "WordingFile",
    "hide_passwords",
    "parse_address",
]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label, what Kubernetes allows
_HOST_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?")  # an underscore: names in Docker
_HOST_MAX_CHARS: Final = 253
_IPV4_LIKE: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")
_REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
_PERHAPS_SECRET: Final = re.compile(
    r":.*@|[?&](?:(?:ssl_|sentinel_)?password|token)=|://:|://.*:(?![0-9]{1,5}(?:[/?#]|$))", re.IGNORECASE | re.DOTALL
)
_SCHEME: Final = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_AT_TOO_LATE: Final = re.compile(r"rediss?(?:\+sentinel)?://[^/?#]*[/?#].*@", re.IGNORECASE | re.DOTALL)
_SOCKET_PATH_MAX_BYTES: Final = 100  # the system's limit is 104 (macOS) or 108 (Linux), its final zero included

UNIX: Final = "unix:"
"""Begins an address that is a socket's path."""
AUTO: Final = "auto"
"""The probe address that nobody chose: with the metrics, or if there are none a port of this machine's own."""


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`; `:port` is all interfaces (host ""), port 0 any free one. Raises ValueError."""
    host, colon, port_text = text.rpartition(":")
    if not colon:
        raise ValueError("has no port: expected HOST:PORT, or :PORT for all interfaces")
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65535:
        raise ValueError("has a wrong port: expected a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise ValueError("has a wrong IPv6 address between the brackets") from error
    elif host:
        if ":" in host:
            raise ValueError("has a wrong host: an IPv6 address belongs into brackets")
        _check_host(host)
    return host, int(port_text)


def hide_passwords(text: str) -> str:
    """`text`, a setting's value; if there may be a password in it, its scheme alone. Where one ends nobody can tell."""
    if not _PERHAPS_SECRET.search(text):
        return text
    scheme = _SCHEME.match(text)
    return f"{scheme[0] if scheme else ''}***"


def _check_host(host: str) -> None:
    """Refuse what no resolver or client takes for a host; whether it exists is another question."""
    try:
        if ":" in host:
            ipaddress.IPv6Address(host)
            return
        if _IPV4_LIKE.fullmatch(host):
            ipaddress.IPv4Address(host)
            return
        ascii_host = host.encode("idna").decode("ascii").removesuffix(".")
    except ValueError as error:
        raise ValueError("names a host that cannot exist") from error
    if len(ascii_host) > _HOST_MAX_CHARS or not all(map(_HOST_LABEL.fullmatch, ascii_host.split("."))):
        raise ValueError("names a host that cannot exist")


def _check_address(text: str) -> str:
    text = text.strip()
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith("/") or "\0" in path or len(os.fsencode(path)) > _SOCKET_PATH_MAX_BYTES:
            raise ValueError(f"has a wrong path: expected an absolute one of at most {_SOCKET_PATH_MAX_BYTES} bytes")
    elif text:
        parse_address(text)
    return text


def _check_probe_address(text: str) -> str:
    return AUTO if text.strip() == AUTO else _check_address(text)


def _check_http_url(text: str) -> str:
    parts = _split_url(text.strip())
    if parts.scheme not in ("http", "https"):
        raise ValueError("is not an http:// or https:// URL")
    if not parts.hostname:
        raise ValueError("names no host")
    if "@" in text:  # also behind the host: a password that was not encoded may hold a slash
        raise ValueError("holds a user or password, which Coder's API does not take")
    if parts.query or parts.fragment:
        raise ValueError("has a query or fragment; the address of Coder itself is wanted")
    _check_host(parts.hostname)
    return text.strip().rstrip("/")


def _check_redis_url(text: str) -> str:
    text = text.strip()
    if _AT_TOO_LATE.search(text):
        # Taken apart here, the password's first half would be the host, and be shown.
        raise ValueError("has an '@' behind its host: in a password write / as %2F, ? as %3F, # as %23 and @ as %40")
    if is_sentinel(text):
        _check_sentinel_url(text)
    else:
        _check_server_url(text)
    return text


def _check_server_url(text: str) -> None:
    parts = _split_url(text)
    if parts.scheme not in _REDIS_SCHEMES:
        raise ValueError("is not a redis://, rediss:// (TLS), redis+sentinel:// or unix:// URL")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("names no socket file")
        if parts.netloc and not parts.netloc.endswith("@"):
            raise ValueError("has something between unix:// and the socket's path")
        if parts.netloc and "@" in parts.path:  # the rest of a password that was not encoded, for all we know
            raise ValueError("has an '@' in the socket's path: in a password write / as %2F and @ as %40")
    elif not parts.hostname:
        raise ValueError("names no host")
    elif (database := parts.path.strip("/")) and not database.isdigit():
        raise ValueError("has a wrong database: expected a number after the last slash")
    else:
        _check_host(parts.hostname)
    if parts.query:
        _check_redis_options(text)


def _check_sentinel_url(text: str) -> None:
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("is not a URL (it holds white space or control characters)")
    for host, _ in (address := parse_sentinel(text)).sentinels:
        _check_host(host)
    if "?" in address.server_url:
        _check_redis_options(text)


def _check_redis_options(text: str) -> None:
    """Ask the client library, which alone knows its options. Imported for this only: most URLs have none."""
    from common.store.connect import UnusableUrl, connect

    try:
        connect(text)
    except UnusableUrl as error:
        raise ValueError(f"cannot be used: {error.why}") from None


def _split_url(text: str) -> SplitResult:
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("is not a URL (it holds white space or control characters)")
    try:
        parts = urlsplit(text)
        _ = parts.port  # checked only when asked for
    except ValueError as error:
        raise ValueError("is not a URL (host or port is malformed)") from error
    return parts


def _split_namespaces(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


def _check_namespaces(values: tuple[str, ...]) -> tuple[str, ...]:
    names = dict.fromkeys(name for value in values if (name := value.strip()))
    for name in names:
        if not _LABEL.fullmatch(name):
            raise ValueError(
                f"names {name!r}, which cannot be a namespace: up to 63 lower-case letters, digits and '-', not '-' at "
                "either end"
            )
    return tuple(names)


def _check_secret_name(text: str) -> str:
    labels = text.split(".")
    if len(text) > _HOST_MAX_CHARS or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("cannot be a Secret's name: lower-case letters, digits, '-' and '.'")
    return text


def _check_prefix(text: str) -> str:
    # Braces would make two hash tags of one, a colon would let one prefix's keys lie within another's.
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ValueError("may hold only letters, digits, '.', '_' and '-', at most 64 of them")
    return text


def expanded(path: Path) -> Path:
    """`path` with `~` replaced. Raises ValueError for a path that cannot be one here."""
    if "\0" in str(path):
        raise ValueError("holds a NUL character")
    try:
        return path.expanduser()
    except RuntimeError as error:  # no such user, or a user without HOME and without an entry in the user database
        raise ValueError("begins with a home directory that cannot be found") from error


def _check_file(path: Path) -> Path:
    path = expanded(path)
    if not path.exists():
        raise ValueError("cannot be read: there is no such file")
    if not path.is_file():
        raise ValueError("is not a file")
    if not os.access(path, os.R_OK):
        raise ValueError("cannot be read: permission denied")
    return path


def _check_wording(path: Path) -> Path:
    """Read the file, so that what is wrong with it is said before anything starts."""
    from common.wording.read import read_sheet  # the watcher has no use for YAML

    path = expanded(path)
    read_sheet(path)
    return path


def _check_redact_file(path: Path) -> Path:
    """Read and try the patterns, so that what is wrong with one is said before anything starts."""
    from common.redact_file import read_patterns  # most programs have no use for them

    path = expanded(path)
    read_patterns(path)
    return path


def _check_directory(path: Path) -> Path:
    path = expanded(path)
    if not path.is_dir():
        raise ValueError("cannot be read: there is no such directory")
    return path


def _to_token_keys(value: Any) -> Any:
    return parse_token_keys(value) if isinstance(value, str) else value


def _to_token_key_file(value: Any) -> Any:
    return read_token_key_file(expanded(Path(value))) if isinstance(value, str | Path) else value


Address = Annotated[str, AfterValidator(_check_address)]
"""`HOST:PORT`, `:PORT` for all interfaces, `unix:` and a socket's path, empty for off."""
ProbeAddress = Annotated[str, AfterValidator(_check_probe_address)]
"""The same, or `AUTO`."""
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
"""An http(s) URL without user, query and trailing slash."""
RedisUrl = Annotated[str, AfterValidator(_check_redis_url)]
"""A redis(s)://, redis(s)+sentinel:// or unix:// URL. It may hold a password: its fields set `repr=False`."""
SecretName = Annotated[str, AfterValidator(_check_secret_name)]
KeyPrefix = Annotated[str, AfterValidator(_check_prefix)]
Namespaces = Annotated[tuple[str, ...], BeforeValidator(_split_namespaces), AfterValidator(_check_namespaces)]
"""Names of namespaces in the order given, each once; empty for the whole cluster."""
ExpandedPath = Annotated[Path, AfterValidator(expanded)]
ExistingFile = Annotated[Path, AfterValidator(_check_file)]
WordingFile = Annotated[Path, AfterValidator(_check_wording)]
"""A YAML file that is a right table of wordings."""
RedactFile = Annotated[Path, AfterValidator(_check_redact_file)]
"""A file of regular expressions, each of which can be used."""
ExistingDirectory = Annotated[Path, AfterValidator(_check_directory)]
TokenKeysField = Annotated[TokenKeys, BeforeValidator(_to_token_keys)]
TokenKeyFileField = Annotated[TokenKeyFile, BeforeValidator(_to_token_key_file)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86_400, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]
