"""Take secrets out of what is about to be logged. Pure.

Keeps guarantee 6. Two nets: by key, before rendering (a UUID under `token` is an agent token, elsewhere it is an
object's UID); by pattern, on the finished line, which also catches tracebacks and other libraries' messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

__all__ = ["REDACTED", "redact_keys", "redact_text"]

REDACTED: Final = "[redacted]"

_UUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_FERNET_KEY: Final = r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}=(?![A-Za-z0-9_=-])"
_PATTERNS: Final = (
    # A container's environment, a header, an error's quotation: the name, a little punctuation, the token.
    (re.compile(rf"(?i)((?:coder_agent_token|coder-session-token)\b.{{0,40}}?){_UUID}"), rf"\g<1>{REDACTED}"),
    (re.compile(r"(?i)(coder-session-token[^\w\[]{1,8})[^\s\"',;[]+"), rf"\g<1>{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\g<1> {REDACTED}"),
    # A URL with a user, a password or a key in its query. A password that was not encoded may hold any delimiter, so
    # all is cut from :// to the last @ of the word, and with a password in the query all of the word.
    (re.compile(r"(?i)(://)\S*[?&](?:(?:ssl_|sentinel_)?password|token)=[^\s\"']*"), rf"\g<1>{REDACTED}"),
    (re.compile(r"(://)\S*(?=@)"), rf"\g<1>{REDACTED}"),
    (re.compile(r"(?i)([?&](?:(?:ssl_|sentinel_)?password|token)=)[^\s\"']*"), rf"\g<1>{REDACTED}"),
    (re.compile(_FERNET_KEY), REDACTED),
)
_ANY_UUID: Final = re.compile(_UUID)
_TOKEN_KEY: Final = re.compile(r"(?i)(?:^|[_-])tokens?(?:$|[_-])")
_WHOLLY_SECRET: Final = re.compile(r"(?i)^(?:.*[_-])?(?:password|passphrase|authorization|api_key|token_keys?)$")


def redact_keys(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values under keys that name a secret are replaced, at any depth."""
    for key in list(event):
        event[key] = _value(key, event[key])
    return event


def redact_text(line: str) -> str:
    """`line` without what looks like a secret, whatever key or library it came from."""
    for pattern, replacement in _PATTERNS:
        line = pattern.sub(replacement, line)
    return line


def _value(key: str, value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {name: _value(str(name), item) for name, item in value.items()}
        case _ if _WHOLLY_SECRET.match(key):
            return REDACTED
        case list():
            return [_value(key, item) for item in value]
        case tuple():
            return tuple(_value(key, item) for item in value)
        case _ if _TOKEN_KEY.search(key):
            return _ANY_UUID.sub(REDACTED, value if isinstance(value, str) else repr(value))
        case _:
            return value
