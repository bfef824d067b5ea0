"""What can go wrong when the Kubernetes API is asked: the one vocabulary of the rest of the program.

`watcher/kube.py` translates every foreign error into one of these. Messages are the server's, cut short; no
credentials are in them.
"""

from __future__ import annotations

from typing import ClassVar, Final

__all__ = [
    "REASONS",
    "Forbidden",
    "Gone",
    "Invalid",
    "KubeError",
    "NoCluster",
    "NotFound",
    "ServerFault",
    "Throttled",
    "Unauthorized",
    "Unreachable",
    "asked_wait_s",
]

_ASKED_WAIT_MAX_S: Final = 300.0


class KubeError(Exception):
    """A request to the API server had no good answer."""

    reason: ClassVar[str]
    """What it is called in metrics."""


class Gone(KubeError):
    """410: the resource version or the continue token is too old."""

    reason = "gone"


class Forbidden(KubeError):
    """403: a permission is missing; the message names verb, resource and place."""

    reason = "forbidden"


class Unauthorized(KubeError):
    """401, also with credentials that were just read anew."""

    reason = "unauthorized"


class NotFound(KubeError):
    """404: no such object, namespace or resource."""

    reason = "notfound"


class Throttled(KubeError):
    """429: the server asks for patience."""

    reason = "throttled"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerFault(KubeError):
    """5xx, or an answer that is not what the API promises. `retry_after_s` is 0 unless the server named a time."""

    reason = "serverfault"

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(KubeError):
    """No connection, a broken one, a time-out or a TLS failure."""

    reason = "unreachable"


class Invalid(KubeError):
    """400, 422 and other refusals of the request itself, such as a field selector the server does not know."""

    reason = "invalid"


class NoCluster(KubeError):
    """No usable configuration: neither a kubeconfig nor a service account. The message says the remedy."""

    reason = "nocluster"


def asked_wait_s(error: KubeError) -> float:
    """For how long the server asks not to be asked again (`Retry-After`), 0 to 300 s; 0 if it did not say."""
    return min(error.retry_after_s, _ASKED_WAIT_MAX_S) if isinstance(error, Throttled | ServerFault) else 0.0


REASONS = tuple(
    kind.reason for kind in (Forbidden, Invalid, NoCluster, NotFound, ServerFault, Throttled, Unauthorized, Unreachable)
)
"""Why a watch may end, besides by its time-out and by 410."""
