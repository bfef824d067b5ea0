"""What a setting is besides its type: its names, its unit, its meaning and the reason for its default. Pure.

Each field of a settings model carries one `Setting` in its `Annotated`; flags, environment names, `--help`, error
lines, the environment of child processes and the reference page are all derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

__all__ = ["Declared", "Group", "ProgramSettings", "Setting", "declared"]


class Group(StrEnum):
    """Heading under which `--help` and the reference page show a setting, in this order."""

    CODER = "Coder"
    KUBERNETES = "Kubernetes"
    REDIS = "Redis or Valkey"
    DELIVERY = "Delivery"
    TELEMETRY = "Logs, metrics and probes"
    PROCESS = "Processes and data"
    CLUSTER = "Valkey and keys in a cluster"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting's names and texts. `flag` is empty for what must not or need not be on a command line."""

    flag: str
    env: str
    group: Group
    meaning: str
    why: str
    """Reason for the default."""
    example: str
    toml: str = ""
    """The example as a line of the file, where it is another one."""
    short: str = ""
    unit: str = ""
    secret: bool = False
    """The value is never shown, not even in an error about it."""
    blank_is_value: bool = False
    """An empty environment variable means the empty value; otherwise it counts as not set."""


class ProgramSettings(BaseSettings):
    """Base of all settings models: frozen, no unknown names, and no value is quoted in pydantic's own errors.

    Constructing one reads nothing but its arguments; `load.load` reads the outside, so that each wrong value can be
    traced to the flag, variable or file that held it.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(  # the signature is pydantic-settings'
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@dataclass(frozen=True)
class Declared:
    """A field of a model with its `Setting`."""

    name: str
    setting: Setting
    field: FieldInfo

    @property
    def default(self) -> Any:
        """The default as declared; None if there is none or it depends on other settings."""
        return None if self.field.is_required() or self.field.default_factory else self.field.default


def declared(model: type[ProgramSettings]) -> Mapping[str, Declared]:
    """The settings of `model` by field name, in order of group, then declaration."""
    found = {name: Declared(name, _setting_of(name, field), field) for name, field in model.model_fields.items()}
    order = list(Group)
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].setting.group)))


def _setting_of(name: str, field: FieldInfo) -> Setting:
    for item in field.metadata:
        if isinstance(item, Setting):
            return item
    raise TypeError(f"field {name} carries no Setting")
