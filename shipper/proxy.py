"""Which proxy the environment names on the way to Coder, checked before anything is sent through it."""

from __future__ import annotations

import os
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from common.settings.values import hide_passwords

__all__ = ["ProxyError", "proxy_for"]

SHOWN_MAX_CHARS: Final = 200
_SCHEMES: Final = ("http", "https")


class ProxyError(Exception):
    """The environment names a proxy that cannot be one; the message says which variable, why, and a right value."""


def proxy_for(url: str) -> str | None:
    """The proxy that the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) names for `url`, if any.

    A bare HOST:PORT is an http:// proxy, as other programs take it. Raises ProxyError.
    """
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    for kind in (parts.scheme, "all"):
        if proxies.get(kind):
            return _checked(proxies[kind].strip(), _variable(kind))
    return None


def _checked(text: str, variable: str) -> str:
    bare = "://" not in text
    proxy = f"http://{text}" if bare else text
    shown = hide_passwords(proxy).removeprefix("http://" if bare else "")[:SHOWN_MAX_CHARS]
    try:
        parts = urlsplit(proxy)
        port, host = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:  # UnicodeError, of a host that no name server could know, is one
        raise _refused(shown, variable, "its host or port is malformed") from None
    if parts.scheme not in _SCHEMES:
        raise _refused(shown, variable, f"{parts.scheme}:// is not supported, only http:// and https:// are")
    if not host:
        raise _refused(shown, variable, "it names no host")
    if bare and port is None:
        raise _refused(shown, variable, "it is neither a URL nor HOST:PORT")
    return proxy


def _refused(shown: str, variable: str, why: str) -> ProxyError:
    return ProxyError(
        f'{variable}: "{shown}" cannot be a proxy: {why}; example: {variable}=http://proxy.example.com:3128'
    )


def _variable(kind: str) -> str:
    """The variable that set the proxy of `kind`: the lower-case one wins where both are set."""
    wanted = f"{kind}_proxy"
    if os.environ.get(wanted):
        return wanted
    return next((name for name in os.environ if name.lower() == wanted), wanted.upper())
