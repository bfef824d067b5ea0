"""Tokens rest sealed, agents keep their names over rotations, and a wrong key stops the start."""

import uuid
from collections.abc import AsyncIterator

import pytest
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from common.crypto import TokenVault, UnreadableToken, WrongTokenKey, new_token_key
from common.store.connect import connect
from common.store.keys import Keys

TOKEN = str(uuid.UUID("5f4e7a3c-9d0b-4a53-8f6e-0123456789ab"))


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


async def test_a_token_is_sealed_and_unsealed(client: Redis, prefix: str, token_key: str) -> None:
    vault = await TokenVault.open(client, Keys(prefix), [token_key])
    sealed = vault.seal(TOKEN)
    assert vault.unseal(sealed) == TOKEN
    assert uuid.UUID(TOKEN).bytes not in sealed
    assert TOKEN.encode() not in sealed


async def test_two_programs_name_an_agent_alike_and_two_releases_do_not(
    client: Redis, prefix: str, token_key: str
) -> None:
    first = await TokenVault.open(client, Keys(prefix), [token_key])
    second = await TokenVault.open(client, Keys(prefix), [token_key])
    other = await TokenVault.open(client, Keys(prefix + "-2"), [token_key])
    assert first.agent_id(TOKEN) == second.agent_id(TOKEN.upper())
    assert first.agent_id(TOKEN) != other.agent_id(TOKEN)


async def test_rotation_keeps_names_and_lets_the_old_key_go(client: Redis, prefix: str) -> None:
    old, new = new_token_key(), new_token_key()
    before = await TokenVault.open(client, Keys(prefix), [old])
    sealed = before.seal(TOKEN)
    during = await TokenVault.open(client, Keys(prefix), [new, old])
    assert during.unseal(sealed) == TOKEN
    after = await TokenVault.open(client, Keys(prefix), [new])
    assert after.agent_id(TOKEN) == before.agent_id(TOKEN)
    with pytest.raises(UnreadableToken):
        after.unseal(sealed)


async def test_a_token_is_sealed_anew_under_the_first_key_and_only_if_it_is_not(client: Redis, prefix: str) -> None:
    old, new = new_token_key(), new_token_key()
    sealed = (await TokenVault.open(client, Keys(prefix), [old])).seal(TOKEN)
    both = await TokenVault.open(client, Keys(prefix), [new, old])
    resealed = both.resealed(sealed)
    assert both.resealed(resealed) == resealed
    assert (await TokenVault.open(client, Keys(prefix), [new])).unseal(resealed) == TOKEN


async def test_a_wrong_key_is_refused_with_a_remedy(client: Redis, prefix: str) -> None:
    await TokenVault.open(client, Keys(prefix), [new_token_key()])
    with pytest.raises(WrongTokenKey, match="give the key that they were written with"):
        await TokenVault.open(client, Keys(prefix), [new_token_key()])


async def test_redis_never_sees_the_digest_key_or_a_token(client: Redis, prefix: str, token_key: str) -> None:
    vault = await TokenVault.open(client, Keys(prefix), [token_key])
    kept = await client.get(Keys(prefix).digest)
    assert isinstance(kept, bytes)
    digest_key = Fernet(token_key).decrypt(kept)
    assert digest_key not in kept
    assert repr(vault) == "TokenVault(...)"


def test_what_is_no_uuid_is_refused() -> None:
    vault = TokenVault([Fernet(new_token_key())], b"k" * 32)
    with pytest.raises(ValueError, match="badly formed"):
        vault.agent_id("not-a-token")
