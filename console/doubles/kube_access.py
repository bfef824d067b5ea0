"""Who may do what at the Kubernetes double. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.doubles.kube_control import Forbid
from console.doubles.server import Reply, json_reply

__all__ = ["Access", "review"]


class Access:
    """Users by their bearer tokens, and what is forbidden to them. Without tokens everyone is `admin`."""

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._users = dict(tokens or {})
        self._rules: list[Forbid] = []

    def user_of(self, authorization: str) -> str | None:
        """The user of an `Authorization` header, None if it is nobody's."""
        if not self._users:
            return "admin"
        scheme, _, token = authorization.partition(" ")
        return self._users.get(token) if scheme.lower() == "bearer" else None

    def add(self, rule: Forbid) -> None:
        """Forbid, or take back a rule that was the same but for `allowed`."""
        taken_back = Forbid(rule.user, rule.verb, rule.resource, rule.namespace)
        self._rules = [each for each in self._rules if each != taken_back]
        if not rule.allowed:
            self._rules.append(rule)

    def clear(self) -> None:
        self._rules.clear()

    def allows(self, user: str, verb: str, resource: str, namespace: str) -> bool:
        asked = (user, verb, resource, namespace)
        return not any(
            all(part in ("*", wanted) for part, wanted in zip(_parts(rule), asked, strict=True)) for rule in self._rules
        )


def review(access: Access, user: str, body: Mapping[str, Any]) -> Reply:
    """The answer to a SelfSubjectAccessReview."""
    asked = body.get("spec", {}).get("resourceAttributes", {})
    resource = "/".join(filter(None, (asked.get("resource"), asked.get("subresource"))))
    allowed = access.allows(user, asked.get("verb", ""), resource, asked.get("namespace", ""))
    return json_reply(
        201,
        {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": body.get("spec", {}),
            "status": {"allowed": allowed},
        },
    )


def _parts(rule: Forbid) -> tuple[str, str, str, str]:
    return rule.user, rule.verb, rule.resource, rule.namespace
