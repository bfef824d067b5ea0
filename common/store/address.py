"""The URL of a Redis that Sentinel watches over. Pure.

    redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DATABASE][?OPTION=VALUE&…]

The form that the redis-sentinel-url package began and others took up. `rediss+sentinel` is TLS to the servers and to
the Sentinels. User and password are the servers'; the Sentinels' own are the options `sentinel_username` and
`sentinel_password`. All other options are the client library's and meant for the servers; those of TLS count for both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

__all__ = ["SENTINEL_PORT", "SentinelAddress", "is_sentinel", "parse_sentinel"]

SENTINEL_PORT: Final = 26379

_SCHEME: Final = re.compile(r"(rediss?)\+sentinel://", re.IGNORECASE)
_REST: Final = re.compile(r"(?:([^@/?#]*)@)?([^@/?#]*)(?:/([^/?#]*))?(?:/([^/?#]*))?/?(?:\?([^#]*))?")
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?")
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]+")  # what Sentinel itself takes for a name
_OURS: Final = ("sentinel_username", "sentinel_password")


class SentinelAddress(Struct, frozen=True):
    """Where the Sentinels are, and whom to ask them for."""

    is_tls: bool
    sentinels: tuple[tuple[str, int], ...]
    """Host and port of each."""
    service: str
    server_url: str
    """A redis:// or rediss:// URL with the servers' user, password, database and options; its host means nothing."""
    sentinel_options: Mapping[str, str]
    """The Sentinels' own `username` and `password`, as far as given."""

    @property
    def shown(self) -> str:
        """The address without any secret."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.sentinels)
        return f"redis{'s' if self.is_tls else ''}+sentinel://{hosts}/{self.service}"


def is_sentinel(url: str) -> bool:
    """Whether `url` has a scheme of Sentinel's."""
    return _SCHEME.match(url) is not None


def parse_sentinel(url: str) -> SentinelAddress:
    """What `url` says, for which `is_sentinel` holds. Raises ValueError with the second half of a sentence."""
    scheme = _SCHEME.match(url)
    rest = _REST.fullmatch(url, scheme.end()) if scheme else None
    if scheme is None or rest is None:
        raise ValueError("is not like redis+sentinel://HOST:26379,HOST:26379/SERVICE/0")
    user, hosts, service, database, query = rest.groups()
    if not service:
        raise ValueError("names no service: what the Sentinels call it comes behind the hosts, as in /mymaster")
    if not _SERVICE.fullmatch(service):
        raise ValueError("has a wrong service: expected letters, digits, '.', '_' and '-' behind the hosts")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError("has a wrong database: expected a number behind the service, as in /mymaster/0")
    options = parse_qsl(query or "", keep_blank_values=True)
    host, port = (sentinels := tuple(_host(each) for each in hosts.split(",")))[0]
    authority = f"{user + '@' if user is not None else ''}{f'[{host}]' if ':' in host else host}:{port}"
    others = urlencode([(name, value) for name, value in options if name not in _OURS])
    return SentinelAddress(
        is_tls=scheme[1].lower() == "rediss",
        sentinels=sentinels,
        service=service,
        server_url=f"{scheme[1].lower()}://{authority}/{database or 0}{'?' + others if others else ''}",
        sentinel_options={name.removeprefix("sentinel_"): value for name, value in options if name in _OURS and value},
    )


def _host(text: str) -> tuple[str, int]:
    if not text:
        raise ValueError("names no host, or has a comma too many between its hosts")
    found = _HOST.fullmatch(text)
    if found is None or int(found[3] or SENTINEL_PORT) > 65535:
        raise ValueError("has a wrong host: expected HOST or HOST:PORT, several separated by commas")
    return found[1] or found[2], int(found[3] or SENTINEL_PORT)
