"""Settings of the watcher."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from common.settings.base import BudgetSettings, StoreSettings, TelemetrySettings
from common.settings.declare import Group, ProgramSettings, Setting
from common.settings.values import Count, ExistingFile, Namespaces, RedactFile, Seconds

__all__ = ["KubernetesSettings", "WatcherSettings"]


class KubernetesSettings(ProgramSettings):
    """Which cluster is watched, and what of it."""

    kubeconfig: Annotated[
        ExistingFile | None,
        Setting(
            flag="--kubeconfig",
            short="-k",
            env="CODER_LOGSTREAM_KUBECONFIG",
            group=Group.KUBERNETES,
            meaning="Kubeconfig file. Without it: those that KUBECONFIG names, else the service account of the pod we "
            "run in, else ~/.kube/config.",
            why="None: in a cluster nothing need be configured.",
            example="~/.kube/config",
        ),
    ] = None
    namespaces: Annotated[
        Namespaces,
        Setting(
            flag="--namespaces",
            short="-n",
            env="CODER_NAMESPACES",
            group=Group.KUBERNETES,
            meaning="Namespaces to watch, comma-separated; empty for all of the cluster.",
            why="All: workspaces appear wherever a template puts them.",
            example="coder,coder-workspaces",
            blank_is_value=True,
        ),
    ] = ()
    namespace_selector: Annotated[
        str,
        Setting(
            flag="--namespace-selector",
            env="CODER_LOGSTREAM_NAMESPACE_SELECTOR",
            group=Group.KUBERNETES,
            meaning="Watch the namespaces with these labels, those to come too; not together with namespaces.",
            why="None: namespaces are named, or all are watched.",
            example="coder.com/workspaces=true",
            blank_is_value=True,
        ),
    ] = ""
    label_selector: Annotated[
        str,
        Setting(
            flag="--label-selector",
            short="-l",
            env="CODER_LABEL_SELECTOR",
            group=Group.KUBERNETES,
            meaning="Only pods with these labels, and what owns such pods.",
            why="All pods: those without an agent token are passed over anyway.",
            example="app.kubernetes.io/name=coder-workspace",
            blank_is_value=True,
        ),
    ] = ""
    field_selector: Annotated[
        str,
        Setting(
            flag="--field-selector",
            short="-f",
            env="CODER_FIELD_SELECTOR",
            group=Group.KUBERNETES,
            meaning="Only pods whose fields match; of it, metadata.namespace binds the pods' owners too.",
            why="All pods.",
            example="metadata.namespace!=kube-system",
            blank_is_value=True,
        ),
    ] = ""
    node_events: Annotated[
        bool,
        Setting(
            flag="--node-events",
            env="CODER_LOGSTREAM_NODE_EVENTS",
            group=Group.KUBERNETES,
            meaning="Tell workspaces, too, what ends their node: it is not ready, shut down, taken back by the cloud … "
            "Needs the right to list and watch Events in the namespace default, wherever the workspaces are.",
            why="Off: whoever may write Events there can then write to all workspaces' logs.",
            example="true",
            toml="node_events = true",
        ),
    ] = False
    watch_timeout_s: Annotated[
        Seconds,
        Setting(
            flag="--watch-timeout-s",
            env="CODER_LOGSTREAM_WATCH_TIMEOUT_S",
            group=Group.KUBERNETES,
            meaning="How long one watch request may last before it is opened anew.",
            why="Spreads watches over the API server's replicas after one restarts; as client-go does (5-10 min).",
            example="300",
            unit="seconds",
        ),
    ] = 300.0
    kube_request_timeout_s: Annotated[
        Seconds,
        Setting(
            flag="--kube-request-timeout-s",
            env="CODER_LOGSTREAM_KUBE_REQUEST_TIMEOUT_S",
            group=Group.KUBERNETES,
            meaning="How long a list or get may take.",
            why="A page of 500 pods takes under a second; the API server itself gives up after 60 s.",
            example="60",
            unit="seconds",
        ),
    ] = 60.0
    watcher_lease_s: Annotated[
        Annotated[float, Field(ge=1.0, le=60.0)],
        Setting(
            flag="--watcher-lease-s",
            env="CODER_LOGSTREAM_WATCHER_LEASE_S",
            group=Group.KUBERNETES,
            meaning="After how long the others take over what a watcher read that says nothing any more.",
            why="With a second or two for the take-over a crash is mended within ten; a clean stop needs no lease.",
            example="6",
            unit="seconds",
        ),
    ] = 6.0
    parked_s: Annotated[
        Seconds,
        Setting(
            flag="--parked-s",
            env="CODER_LOGSTREAM_PARKED_S",
            group=Group.DELIVERY,
            meaning="How long an event waits for the object it is about to become known, while objects can be read.",
            why="Watches of two resources are apart by seconds; a slow relist takes a minute.",
            example="120",
            unit="seconds",
        ),
    ] = 120.0
    parked_max: Annotated[
        Count,
        Setting(
            flag="--parked-max",
            env="CODER_LOGSTREAM_PARKED_MAX",
            group=Group.DELIVERY,
            meaning="How many events may wait so; beyond it the oldest are dropped and counted.",
            why="About 10 MB; most events of a cluster are about objects that never become workspaces.",
            example="10000",
            unit="events",
        ),
    ] = 10_000

    known_max: Annotated[
        Count,
        Setting(
            flag="--known-max",
            env="CODER_LOGSTREAM_KNOWN_MAX",
            group=Group.DELIVERY,
            meaning="How many pods and ReplicaSets with an agent token one watcher follows; further ones are passed "
            "over and counted, and their agents' logs say so.",
            why="About 2 KiB each in the watcher and Redis together, 100 MB: far above what a Coder has, far below "
            "what would end a process.",
            example="50000",
            unit="objects",
        ),
    ] = 50_000
    crash_log_lines: Annotated[
        Annotated[int, Field(ge=0, le=50)],
        Setting(
            flag="--crash-log-lines",
            env="CODER_LOGSTREAM_CRASH_LOG_LINES",
            group=Group.KUBERNETES,
            meaning="How many lines of its own output are shown of a container that crashed, 0 to 50; 0 reads none. "
            "What looks like a secret is taken out. Needs get on pods/log.",
            why="None: what a program writes may hold what is not meant for the log in Coder.",
            example="10",
            unit="lines",
        ),
    ] = 0
    crash_log_redact_file: Annotated[
        RedactFile | None,
        Setting(
            flag="--crash-log-redact-file",
            env="CODER_LOGSTREAM_CRASH_LOG_REDACT_FILE",
            group=Group.KUBERNETES,
            meaning="File of regular expressions, one a line: what they match is taken out of those lines, beside what "
            "is anyway. Read at the start.",
            why="None: the patterns that ship.",
            example="/etc/coder-logstream/redact.txt",
        ),
    ] = None

    @model_validator(mode="after")
    def _one_choice_of_namespaces(self) -> Self:
        if self.namespaces and self.namespace_selector.strip():
            raise ValueError(
                "--namespaces (CODER_NAMESPACES) and --namespace-selector (CODER_LOGSTREAM_NAMESPACE_SELECTOR) are "
                "both given, but either of them alone says which namespaces are watched; keep one, for example "
                "--namespace-selector coder.com/workspaces=true"
            )
        return self


class WatcherSettings(KubernetesSettings, BudgetSettings, StoreSettings, TelemetrySettings):
    """All settings of `coder-logstream watcher`."""
