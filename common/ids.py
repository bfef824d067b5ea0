"""Names for the identifiers that cross module borders, so that the type checker tells them apart."""

from __future__ import annotations

from typing import NewType

__all__ = ["AgentId", "DrainerId", "Epoch", "StreamId", "Uid", "Unit", "WatcherId"]

AgentId = NewType("AgentId", str)
"""HMAC of an agent token under the digest key, 32 lower-case hex digits. Never reversible to the token."""

Uid = NewType("Uid", str)
"""`metadata.uid` of a Kubernetes object: unique in a cluster for all time, unlike its name."""

Epoch = NewType("Epoch", int)
"""Fencing epoch of one claim of one agent: grows with each claim, so a stale holder is recognised."""

StreamId = NewType("StreamId", str)
"""Id of an entry of a Redis stream, `<ms>-<n>`."""

DrainerId = NewType("DrainerId", str)
"""One shipper process's name in Redis, unique for the life of the process."""

Unit = NewType("Unit", str)
"""What watchers share among themselves: a namespace that is named, or a slot of all namespaces (`watcher.shares`)."""

WatcherId = NewType("WatcherId", str)
"""One watcher process's name in Redis, unique for the life of the process."""
