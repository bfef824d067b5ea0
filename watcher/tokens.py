"""Which containers of a pod specification have, or may have, an agent's token, and from where. Pure: no look-ups.

All container kinds count: init containers (sidecars among them) and ephemeral ones too. One object may hold several
agents. An agent takes `CODER_AGENT_TOKEN` or, where that is empty, what is in the file that `CODER_AGENT_TOKEN_FILE`
names (read in Coder's `cli/agent.go`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from watcher.environment import Environment
from watcher.mounts import find, mounts_of
from watcher.objects import Pod
from watcher.pod_status import ContainerStatus
from watcher.sought import Expression, File, Gap, NoToken, Sought, Text, at_places, read_token, token_of
from watcher.specs import Container, Env, PodSpec, decode_mounts, decode_volumes

__all__ = ["Found", "InValue", "Where", "all_started", "discover"]

VARIABLE: Final = "CODER_AGENT_TOKEN"
FILE_VARIABLE: Final = "CODER_AGENT_TOKEN_FILE"
_NAMES: Final = frozenset((VARIABLE, FILE_VARIABLE))


class InValue(Struct, frozen=True):
    """The token itself stands in the specification."""

    token: str

    def __repr__(self) -> str:
        return "InValue(…)"


Where = InValue | Sought


class Found(Struct, frozen=True):
    container: str
    where: Where | NoToken
    ephemeral: bool = False
    """The container may have joined a pod that ran already."""


def discover(spec: PodSpec | None) -> list[Found]:
    """Every container of `spec` that may have a token."""
    if spec is None:
        return []
    found = []
    for container, ephemeral in _containers(spec):
        named = [env for env in container.env or () if env.name in _NAMES]
        if named or container.env_from:
            where = _where(container, named, spec)
            if where is not None:
                found.append(Found(container.name, where, ephemeral))
    return found


def _containers(spec: PodSpec) -> Iterator[tuple[Container, bool]]:
    """Each container, and whether it is an ephemeral one."""
    for container in (*(spec.init_containers or ()), *(spec.containers or ())):
        yield container, False
    for container in spec.ephemeral_containers or ():
        yield container, True


def _where(container: Container, named: list[Env], spec: PodSpec) -> Where | NoToken | None:
    plain = named[-1].value if named and named[-1].name == VARIABLE else None
    if plain and "$" not in plain and plain.strip():  # what nearly all templates have
        return _in_value(plain)
    environment = Environment(container)
    token = environment.get(VARIABLE)
    if isinstance(token, Text) and token.text.strip():
        return _in_value(token.text)
    sought = Sought(token, _file(environment, container, spec), named=bool(named))
    outcome = token_of(sought, lambda _: None)
    match outcome:
        case Gap.UNREAD:
            return sought
        case Gap.ABSENT:
            return NoToken.NOT_A_UUID if named else None
        case NoToken():
            return outcome
        case _:
            return InValue(outcome)


def _in_value(text: str) -> InValue | NoToken:
    token = read_token(text)
    return InValue(token) if token is not None else NoToken.NOT_A_UUID


def _file(environment: Environment, container: Container, spec: PodSpec) -> Expression | None:
    """What is in the agent's token file; None if it has none."""
    path = environment.get(FILE_VARIABLE)
    if path is None or (isinstance(path, Text) and not path.text.strip()):
        return None
    mounts = mounts_of(decode_mounts(container.volume_mounts), decode_volumes(spec.volumes), environment.text)
    if isinstance(path, Text):
        return at_places(find(path.text, mounts))
    return File(path, mounts)


def all_started(pod: Pod, found: list[Found]) -> bool:
    """Whether each container of `found` has started at least once: from then on its token cannot change any more."""
    status = pod.status
    if status is None:
        return False
    if status.phase in ("Succeeded", "Failed"):
        return True
    started = {
        each.name
        for group in (status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses)
        for each in group or ()
        if _has_started(each)
    }
    return all(each.container in started for each in found)


def _has_started(status: ContainerStatus) -> bool:
    return any(
        state is not None and (state.running is not None or state.terminated is not None)
        for state in (status.state, status.last_state)
    )
