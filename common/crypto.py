"""Seal agent tokens, and name agents without telling their tokens. Keeps guarantee 6.

Tokens rest in Redis under Fernet keys that Redis never sees. An agent's name is an HMAC of its token under a digest
key, made once at random and kept in Redis wrapped by the same Fernet keys: rotation re-wraps it and names never change.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import redis.asyncio
import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.ids import AgentId
from common.settings.token_keys import PLAINTEXT_KEY
from common.store.connect import keep_first, translated
from common.store.errors import StoreError
from common.store.keys import Keys

__all__ = ["TokenVault", "UnreadableToken", "WrongTokenKey", "key_fits", "new_token_key"]

_DIGEST_KEY_BYTES: Final = 32
_AGENT_ID_BYTES: Final = 16


class WrongTokenKey(StoreError):
    """The digest key in Redis was wrapped under other token keys than ours. Final until an operator acts."""

    @classmethod
    def of(cls, keys: Keys, token_keys: Sequence[str], wrapped: bytes) -> WrongTokenKey:
        """What to do about a digest key `wrapped` under none of `token_keys`."""
        data = f"the data under prefix '{keys.prefix}' in Redis"
        if _opens(PLAINTEXT_KEY, wrapped):
            return cls(
                f"{data} hold plain tokens (--insecure-plaintext-tokens): to encrypt them, see «From plain text "
                "to a key» in docs/how-to/rotate-the-token-key.md"
            )
        if list(token_keys) == [PLAINTEXT_KEY]:
            return cls(
                f"{data} are encrypted, so --insecure-plaintext-tokens cannot be used with them: give the token key "
                "that they were written with, or choose another --redis-prefix"
            )
        return cls(
            f"the token key does not fit {data}; give the key that they were written with (after a rotation: both, "
            "comma-separated, the new one first); only if it is lost for good: coder-logstream forget-lost-key"
        )

    @classmethod
    def unless_fits(cls, keys: Keys, token_keys: Sequence[str], wrapped: bytes) -> WrongTokenKey | None:
        """The same for `wrapped` of any kind: None if one of `token_keys` fits it."""
        return None if any(_opens(key, wrapped) for key in token_keys) else cls.of(keys, token_keys, wrapped)


class UnreadableToken(Exception):
    """A sealed token that none of our keys opens. The message holds nothing of it."""


def new_token_key() -> str:
    """A fresh Fernet key: 32 random bytes, URL-safe base64."""
    return Fernet.generate_key().decode()


class TokenVault:
    """Seals, unseals and names tokens. Tokens are UUIDs (FACTS 1), kept in their canonical form."""

    def __init__(self, fernets: Sequence[Fernet], digest_key: bytes) -> None:
        """`fernets`: the first one seals, all unseal."""
        self._first = fernets[0]
        self._fernet = MultiFernet(fernets)
        self._digest_key = digest_key

    def __repr__(self) -> str:
        return "TokenVault(...)"

    @classmethod
    async def open(
        cls, client: redis.asyncio.Redis, keys: Keys, token_keys: Sequence[str], *, before: TokenVault | None = None
    ) -> TokenVault:
        """The vault of the release `keys`; the first ever makes the digest key.

        `token_keys`: Fernet keys, the first one seals, all unseal. `before`: the vault of a data set that was emptied,
        whose names of agents the first to write into it goes on with. Raises `WrongTokenKey`, `StoreError`, and
        `ValueError` for a key that is none.
        """
        fernets = [Fernet(key) for key in token_keys]
        fernet = MultiFernet(fernets)
        fresh = secrets.token_bytes(_DIGEST_KEY_BYTES) if before is None else before._digest_key  # noqa: SLF001 - its own class's
        with translated("reading the digest key"):
            wrapped = await keep_first(client, keys.digest, fernet.encrypt(fresh))
        try:
            digest_key = fernet.decrypt(wrapped)
        except InvalidToken:
            raise WrongTokenKey.of(keys, token_keys, wrapped) from None
        if not _opens(token_keys[0], wrapped):
            # Rotation: wrapped anew, so that the old key can be taken away. Racing starts write the same secret.
            with translated("wrapping the digest key anew"):
                await client.set(keys.digest, fernet.encrypt(digest_key))
        if PLAINTEXT_KEY in token_keys:
            _warn(token_keys)
        return cls(fernets, digest_key)

    def agent_id(self, token: str) -> AgentId:
        """The name of the agent whose token is `token`. Raises `ValueError` if that is no UUID."""
        digest = hmac.new(self._digest_key, UUID(token).bytes, hashlib.sha256).digest()
        return AgentId(digest[:_AGENT_ID_BYTES].hex())

    def seal(self, token: str) -> bytes:
        """`token` encrypted under the first key. Raises `ValueError` if it is no UUID."""
        # The 16 bytes of the UUID and no base64 around the result: it is kept once for each agent.
        return base64.urlsafe_b64decode(self._fernet.encrypt(UUID(token).bytes))

    def resealed(self, sealed: bytes) -> bytes:
        """`sealed` as it is if the first key opens it, else its token sealed anew. Raises `UnreadableToken`."""
        try:
            self._first.decrypt(base64.urlsafe_b64encode(sealed))
        except InvalidToken:
            return self.seal(self.unseal(sealed))
        return sealed

    def seal_text(self, text: bytes) -> bytes:
        """Something that may hold tokens, encrypted under the first key."""
        return base64.urlsafe_b64decode(self._fernet.encrypt(text))

    def unseal_text(self, sealed: bytes) -> tuple[bytes, bool]:
        """What `seal_text` was given, and whether the first key opens it. Raises `UnreadableToken`."""
        encoded = base64.urlsafe_b64encode(sealed)
        try:
            return self._first.decrypt(encoded), True
        except InvalidToken:
            pass
        try:
            return self._fernet.decrypt(encoded), False
        except InvalidToken:
            raise UnreadableToken("a text was sealed under a key that is not among the token keys") from None

    def unseal(self, sealed: bytes) -> str:
        """The token in `sealed`. Raises `UnreadableToken`."""
        try:
            return str(UUID(bytes=self._fernet.decrypt(base64.urlsafe_b64encode(sealed))))
        except (InvalidToken, ValueError):
            raise UnreadableToken("an agent's token was sealed under a key that is not among the token keys") from None


async def key_fits(client: redis.asyncio.Redis, keys: Keys, token_keys: Sequence[str]) -> bool:
    """Whether programs with `token_keys` can start on the data of `keys`, or make the first. Raises `StoreError`."""
    with translated("reading the digest key"):
        wrapped = await client.get(keys.digest)
    return not isinstance(wrapped, bytes) or WrongTokenKey.unless_fits(keys, token_keys, wrapped) is None


def _warn(token_keys: Sequence[str]) -> None:
    log = structlog.get_logger()
    if token_keys[0] == PLAINTEXT_KEY:
        log.warning("agent tokens are NOT encrypted in Redis: --insecure-plaintext-tokens is given")
    else:
        log.warning("tokens that were stored in plain text are still accepted; take the second token key away soon")


def _opens(key: str, wrapped: bytes) -> bool:
    try:
        Fernet(key).decrypt(wrapped)
    except InvalidToken:
        return False
    return True
