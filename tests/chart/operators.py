"""The kinds of the Prometheus operator and of KEDA, as far as the chart makes use of them: no other field passes.

Written from their definitions (prometheus-operator 0.82 to 0.91, monitoring.coreos.com/v1; KEDA 2, keda.sh/v1alpha1)
and from KEDA's pages on its triggers `redis` and `prometheus`. What the chart begins to use has to be added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, convert, field

from tests.chart.helm import Object

__all__ = ["KINDS", "validate"]

_UNITS: Final = ("y", "w", "d", "h", "m", "s", "ms")
Duration = Annotated[str, Meta(pattern=rf"^(0|{''.join(f'([0-9]+{unit})?' for unit in _UNITS)})$")]
Text = Annotated[str, Meta(min_length=1)]
Number = Annotated[str, Meta(pattern=r"^[0-9]+$")]
"""In the metadata of a trigger all is text."""
Amount = Annotated[int, Meta(ge=0)]


class Known(Struct, forbid_unknown_fields=True, rename="camel"):
    """Refuses fields that it does not name."""


class Metadata(Known):
    name: Text
    labels: Mapping[str, str]


class Selector(Known):
    match_labels: Annotated[Mapping[str, str], Meta(min_length=1)]


class Endpoint(Known):
    port: Text
    interval: Duration


class PodMonitorSpec(Known):
    selector: Selector
    pod_metrics_endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1)]


class ServiceMonitorSpec(Known):
    selector: Selector
    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1)]


class Alert(Known):
    alert: Text
    expr: Text
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    for_: Duration = field(name="for", default="")


class Recording(Known):
    record: Text
    expr: Text


class RuleGroup(Known):
    name: Text
    rules: tuple[Mapping[str, object], ...]
    interval: Duration = ""


class PrometheusRuleSpec(Known):
    groups: Annotated[tuple[RuleGroup, ...], Meta(min_length=1)]


class ScaleTargetRef(Known):
    name: Text


class AuthenticationRef(Known):
    name: Text


class RedisMetadata(Known):
    address: Annotated[str, Meta(pattern=r"^[^:/@]+:[0-9]+$")]
    list_name: Text
    list_length: Number
    database_index: Number
    enable_tls: Literal["true", "false"] = field(name="enableTLS", default="false")


class PrometheusMetadata(Known):
    server_address: Annotated[str, Meta(pattern=r"^https?://")]
    query: Text
    threshold: Number


class RedisTrigger(Known, tag_field="type", tag="redis"):
    metadata: RedisMetadata
    authentication_ref: AuthenticationRef | None = None


class PrometheusTrigger(Known, tag_field="type", tag="prometheus"):
    metadata: PrometheusMetadata


class ScaledObjectSpec(Known):
    scale_target_ref: ScaleTargetRef
    min_replica_count: Amount
    max_replica_count: Amount
    cooldown_period: Amount
    triggers: Annotated[tuple[RedisTrigger | PrometheusTrigger, ...], Meta(min_length=1)]


class SecretTargetRef(Known):
    parameter: Literal["username", "password"]
    name: Text
    key: Text


class TriggerAuthenticationSpec(Known):
    secret_target_ref: tuple[SecretTargetRef, ...]


MONITORING: Final = "monitoring.coreos.com/v1"
KEDA: Final = "keda.sh/v1alpha1"
KINDS: Final[Mapping[tuple[str, str], type[Known]]] = {
    (MONITORING, "PodMonitor"): PodMonitorSpec,
    (MONITORING, "ServiceMonitor"): ServiceMonitorSpec,
    (MONITORING, "PrometheusRule"): PrometheusRuleSpec,
    (KEDA, "ScaledObject"): ScaledObjectSpec,
    (KEDA, "TriggerAuthentication"): TriggerAuthenticationSpec,
}
"""What each holds under `spec`."""


def validate(made: Object) -> None:
    """Raises msgspec.ValidationError for what its operator would refuse, or drop unseen; KeyError for unknown kinds."""
    spec = convert(made["spec"], KINDS[made["apiVersion"], made["kind"]])
    convert(made["metadata"], Metadata)
    assert made.keys() == {"apiVersion", "kind", "metadata", "spec"}
    if isinstance(spec, PrometheusRuleSpec):
        for group in spec.groups:
            for rule in group.rules:
                convert(rule, Alert if "alert" in rule else Recording)
