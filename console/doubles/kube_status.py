"""The `Status` objects with which the Kubernetes API refuses things. Pure.

Wording and members as recorded from Kubernetes 1.35; what was not recorded is read in its source.
"""

from __future__ import annotations

from typing import Any, Final

from console.doubles.kube_resources import Resource, Target
from console.doubles.server import Reply, json_reply

__all__ = [
    "CONTINUE_EXPIRED",
    "PAGE_NOT_FOUND",
    "already_exists",
    "bad_request",
    "conflict",
    "forbidden",
    "invalid_version",
    "invalid_watch_options",
    "not_found",
    "reply",
    "status",
    "too_new",
    "too_old",
    "unauthorized",
]

PAGE_NOT_FOUND: Final = Reply(404, b"404 page not found\n", content_type="text/plain; charset=utf-8")

CONTINUE_EXPIRED: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def status(code: int, message: str, reason: str = "", details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A failure; empty parts are left out as Go does."""
    value: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    value |= {"message": message} | ({"reason": reason} if reason else {}) | ({"details": details} if details else {})
    return value | {"code": code}


def reply(value: dict[str, Any]) -> Reply:
    """An HTTP answer of that status."""
    return json_reply(value["code"], value)


def unauthorized() -> dict[str, Any]:
    return status(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, target: Target) -> dict[str, Any]:
    resource = target.resource
    subject = f'{resource.qualified} "{target.name}"' if target.name else resource.qualified
    where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    message = (
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{target.right}" '
        f'in API group "{resource.group}" {where}'
    )
    return status(403, message, "Forbidden", _details(resource, target.name))


def not_found(resource: Resource, name: str) -> dict[str, Any]:
    return status(404, f'{resource.qualified} "{name}" not found', "NotFound", _details(resource, name))


def already_exists(resource: Resource, name: str) -> dict[str, Any]:
    message = f'{resource.qualified} "{name}" already exists'
    return status(409, message, "AlreadyExists", _details(resource, name))


def conflict(resource: Resource, name: str) -> dict[str, Any]:
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return status(409, message, "Conflict", _details(resource, name))


def bad_request(message: str) -> dict[str, Any]:
    return status(400, message, "BadRequest")


def invalid_version(text: str) -> dict[str, Any]:
    """A resource version that is no number: recorded as a 500 without a reason."""
    problem = f'strconv.ParseUint: parsing "{text}": invalid syntax'
    return status(500, f'resourceVersion: Invalid value: "{text}": {problem}')


def invalid_watch_options(field: str, problem: str) -> dict[str, Any]:
    message = f'ListOptions.meta.k8s.io "" is invalid: {field}: Forbidden: {problem}'
    causes = [{"reason": "FieldValueForbidden", "message": f"Forbidden: {problem}", "field": field}]
    return status(422, message, "Invalid", {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes})


def too_old(resource: Resource, version: int, oldest: int) -> dict[str, Any]:
    """The history a watch asks for is gone."""
    if not resource.cached:
        return status(410, "The resourceVersion for the provided watch is too old.", "Expired")
    return status(410, f"too old resource version: {version} ({oldest})", "Expired")


def too_new(version: int, newest: int) -> dict[str, Any]:
    """A list of a version that is still to come."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {newest}"
    return status(504, message, "Timeout", {"causes": causes, "retryAfterSeconds": 1})


def _details(resource: Resource, name: str) -> dict[str, str]:
    named = {"name": name} if name else {}
    grouped = {"group": resource.group} if resource.group else {}
    return named | grouped | {"kind": resource.plural}
