"""Variables that look like ours and are none: what is misspelt sets nothing, so it has to be said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from common.meant import closest
from common.settings.declare import declared
from common.settings.in_cluster import IN_CLUSTER
from common.settings.load import PROGRAMS

__all__ = ["misspelt"]

_PREFIX: Final = "CODER_LOGSTREAM_"
_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)?$")
"""Kubernetes tells every pod of the namespace's Services in such variables (docs: «Accessing the Service»)."""


def misspelt(variables: Iterable[str]) -> dict[str, str]:
    """Those of `variables` that nobody reads though they begin like ours, and what each may mean, "" if nothing."""
    models = [*PROGRAMS.values(), *IN_CLUSTER.values()]
    names = {item.setting.env for model in models for item in declared(model).values()}
    known = {name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX)}
    ours = {name.removeprefix(_PREFIX) for name in variables if name.startswith(_PREFIX)}
    odd = sorted(name for name in ours - known if not _SERVICE.search(f"_{name}"))
    meant = {name: closest(name, sorted(known)) for name in odd}
    return {_PREFIX + name: _PREFIX + close if close else "" for name, close in meant.items()}
