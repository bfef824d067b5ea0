"""What Coder's answers to `doctor` are worth: each a finding. Pure.

The answers are read by what reads them in delivery: `hello`, `outcome`, `pace`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final, assert_never
from urllib.parse import urlsplit

from common.checkup import Area, Finding, bad, doubt, fine
from common.loopback import is_loopback
from common.store.model import AgentState
from shipper.hello import Greeted, Unmet, greet
from shipper.hold import Windows
from shipper.outcome import Answer, Call, Circumstances, Delivered, NoAnswer, Reply, Retry, decide
from shipper.pace import Quota, read_quota
from shipper.reasons import Reason

__all__ = ["api_finding", "certificate_finding", "clock_finding", "coder_finding", "plain_finding", "quota_finding"]

SKEW_MAX_S: Final = 5.0
"""An answer tells whole seconds and takes some time itself."""
RENEW_WITHIN_DAYS: Final = 14
SCARCE: Final = 1 / 8
_DAY_S: Final = 86_400
_C: Final = Area.CODER
_AT: Final = Circumstances(AgentState(), 0, Windows(), 0.0)
"""An agent that was never heard of."""


def coder_finding(reply: Reply, url: str) -> Finding:
    """Whether Coder answers, and is new enough."""
    match greet(reply, url):
        case Greeted(version):
            return fine(_C, "address", f"{url} answers, version {version}")
        case Unmet(trouble):
            said, _, remedy = trouble.rpartition("; ")
            if _is_unreached(reply) and is_loopback(url):
                remedy = (
                    "does Coder run? In a container a loopback address is the container's own: use the host's network, "
                    "or a CODER_URL that is reached from there"
                )
            return bad(_C, "address", said or trouble, remedy if said else "set CODER_URL to the address of Coder")
        case greeting:
            assert_never(greeting)


def plain_finding(url: str) -> Finding | None:
    """What to say of a connection without TLS; None if there is TLS."""
    if urlsplit(url).scheme == "https":
        return None
    if is_loopback(url):
        return fine(_C, "TLS", "not used, and not needed on one machine")
    return doubt(
        _C, "TLS", "not used: agents' tokens travel in plain text", "use https://, unless the network is yours"
    )


def certificate_finding(until_unix_s: float, now_unix_s: float) -> Finding:
    """Of a certificate that is trusted; `until_unix_s` is its end."""
    days = int((until_unix_s - now_unix_s) // _DAY_S)
    left = "1 day" if days == 1 else f"{days} days"
    if days < RENEW_WITHIN_DAYS:
        return doubt(_C, "TLS", f"Coder's certificate is trusted, but ends in {left}", "renew it")
    return fine(_C, "TLS", f"Coder's certificate is trusted, for {left} more")


def api_finding(call: Call, reply: Reply) -> Finding:
    """Whether the endpoint of `call` is there, by its answer to a token that is nobody's."""
    about = f"log API ({'POST log-source' if call is Call.LOG_SOURCE else 'PATCH logs'})"
    match decide(reply, call, _AT):
        case Retry(_, Reason.UNAUTHORIZED):
            return fine(_C, about, "there: it refuses a token that is nobody's, as it should")
        case Delivered():
            return fine(_C, about, "there: it takes any token, as only a double of Coder does")
        case Retry(_, Reason.RATE_LIMITED):
            return doubt(_C, about, "rate-limited just now", "ask again in a minute; see the rate limit below")
        case Retry(_, Reason.NOT_CODER):
            return bad(_C, about, f"{_answered(reply)}, which Coder does not say", _not_coder(reply))
        case _:
            return bad(_C, about, _answered(reply), "see Coder's own log, and what stands between it and here")


def clock_finding(headers: Mapping[str, str], now_unix_s: float) -> Finding | None:
    """How far this machine's clock is from Coder's; None if the answer has no time."""
    try:
        ahead_s = now_unix_s - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    if abs(ahead_s) <= SKEW_MAX_S:
        return fine(_C, "clock", "agrees with Coder's")
    where = "ahead of" if ahead_s > 0 else "behind"
    said = f"this machine's clock is {abs(ahead_s):.0f} s {where} Coder's: times in late lines are wrong"
    return doubt(_C, "clock", said, "synchronise both clocks (NTP)")


def quota_finding(replies: Sequence[Reply]) -> Finding:
    """What the answers of the log API say of its rate limit."""
    quotas = [quota for each in replies if isinstance(each, Answer) and (quota := read_quota(each.headers)) is not None]
    if not quotas:
        return fine(_C, "rate limit", "none seen: requests are not paced")
    lowest: Quota = min(quotas, key=lambda quota: quota.remaining / quota.limit)
    said = f"{lowest.limit} requests a minute for this address and path, {lowest.remaining} left"
    if lowest.remaining < lowest.limit * SCARCE:
        remedy = "run shippers on more addresses, or raise CODER_API_RATE_LIMIT; a proxy may make many senders one"
        return doubt(_C, "rate limit", said, remedy)
    return fine(_C, "rate limit", said)


def _is_unreached(reply: Reply) -> bool:
    """Not even its certificate was seen."""
    return isinstance(reply, NoAnswer) and not reply.why.startswith("TLS")


def _answered(reply: Reply) -> str:
    return f"answers {reply.status}" if isinstance(reply, Answer) else f"does not answer: {reply.why}"


def _not_coder(reply: Reply) -> str:
    if isinstance(reply, Answer) and reply.status == 404:
        return "is Coder at least 2.13, and does CODER_URL lead to its root?"
    return "let the proxy or login page before Coder pass this path through as it is"
