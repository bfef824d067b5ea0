"""Is it Coder that answers, and is it new enough? Pure, for one clear line at the start. Source: FACTS 1."""

from __future__ import annotations

import re
from typing import Final, assert_never

import msgspec

from shipper.outcome import Answer, NoAnswer, Reply

__all__ = ["OLDEST_CODER", "Greeted", "Greeting", "Unmet", "greet"]

OLDEST_CODER: Final = (2, 13)
"""2.13 removed the endpoint that came before `/logs`; what is older was never tried."""

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")


class Greeted(msgspec.Struct, frozen=True):
    """A Coder that will do."""

    version: str


class Unmet(msgspec.Struct, frozen=True):
    """Something is wrong; `trouble` is one line that says what, and what to do."""

    trouble: str


Greeting = Greeted | Unmet


class _BuildInfo(msgspec.Struct, frozen=True):
    version: str


_decoder = msgspec.json.Decoder(_BuildInfo)


def greet(reply: Reply, url: str) -> Greeting:
    """Judge the answer to `buildinfo`."""
    match reply:
        case NoAnswer():
            return Unmet(f"{url} is unreachable: {reply.why}; {_remedy(reply.why)}")
        case Answer(status=200):
            return _judge(reply.body, url)
        case Answer(status=status) if 300 <= status < 400:
            target = reply.headers.get("location", "elsewhere")[:200]
            return Unmet(f"{url} redirects to {target}; set CODER_URL to the final address")
        case Answer():
            return Unmet(f"{url} answers {reply.status} to /api/v2/buildinfo; is CODER_URL right?")
        case _:
            assert_never(reply)


def _judge(body: bytes, url: str) -> Greeting:
    try:
        version = _decoder.decode(body).version
    except msgspec.DecodeError:
        return Unmet(f"{url} answers, but not as Coder does: is CODER_URL right, or a login page before it?")
    found = _VERSION.match(version)
    # Builds from source call themselves v0.0.0-devel.
    if found is not None and (0, 0) < (int(found[1]), int(found[2])) < OLDEST_CODER:
        oldest = ".".join(map(str, OLDEST_CODER))
        return Unmet(f"Coder at {url} is {version[:40]}; {oldest} or newer is needed: upgrade Coder")
    return Greeted(version[:40])


def _remedy(why: str) -> str:
    """What to do about no answer. The words are OpenSSL's."""
    if not why.startswith("TLS"):
        return "is CODER_URL right, and may this machine reach it?"
    if "mismatch" in why:
        return "CODER_URL must use a name that Coder's certificate is for"
    if "has expired" in why:
        return "renew Coder's certificate"
    if "certificate verify failed" in why:
        return "if an authority of your own signed it, give that one's PEM file in SSL_CERT_FILE"
    return "is it https:// that this port speaks?"
