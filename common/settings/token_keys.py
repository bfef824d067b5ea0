"""The keys under which agent tokens are encrypted: their form, and the file that may hold them.

Keeps guarantee 6: neither a key nor a piece of one is in a `repr` or an error message.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.small_file import read_small

__all__ = ["PLAINTEXT_KEY", "TokenKeyFile", "TokenKeys", "parse_token_keys", "read_token_key_file"]

PLAINTEXT_KEY: Final = "insecure-plaintext-tokens-known-to-everyone="
"""Stands for no key: public, so what it seals is as good as plain text (ADR 23). Says so wherever it is shown."""

_FERNET_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=")
_FORM: Final = (
    "a key is 32 random bytes in URL-safe base64, 44 characters ending in '=' "
    "(make one: openssl rand -base64 32 | tr '+/' '-_')"
)
_MAX_FILE_BYTES: Final = 64 * 1024  # a thousand keys; a larger file is surely not a key file


@dataclass(frozen=True)
class TokenKeys:
    """One Fernet key or more; the first seals, all of them unseal (rotation)."""

    values: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class TokenKeyFile:
    """A key file that was read: where it lies and what it held."""

    path: Path
    keys: TokenKeys


def parse_token_keys(text: str) -> TokenKeys:
    """The keys in `text`, comma- or line-separated. ValueError names the wrong one by its place, not its value."""
    values = tuple(part.strip() for part in re.split(r"[,\n]", text) if part.strip())
    if not values:
        raise ValueError(f"holds no key; {_FORM}")
    for place, value in enumerate(values, start=1):
        if not _is_fernet_key(value):
            which = "is not a token key" if len(values) == 1 else f"key {place} of {len(values)} is not a token key"
            raise ValueError(f"{which}; {_FORM}")
    if values[0] == PLAINTEXT_KEY:
        raise ValueError(
            "begins with the key that everyone knows; say --insecure-plaintext-tokens if nothing is to be encrypted"
        )
    return TokenKeys(values)


def read_token_key_file(path: Path) -> TokenKeyFile:
    """The keys in the file at `path`. ValueError says what is wrong with it."""
    too_large = f"is no key file: it is larger than {_MAX_FILE_BYTES} bytes"
    content = read_small(path, _MAX_FILE_BYTES, too_large, ValueError)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError(f"is no key file: it is not ASCII text; {_FORM}") from None
    if not text.strip():
        raise ValueError(f"is empty; {_FORM}")
    return TokenKeyFile(path, parse_token_keys(text))


def _is_fernet_key(value: str) -> bool:
    return _FERNET_KEY.fullmatch(value) is not None and len(base64.urlsafe_b64decode(value)) == 32
