"""Objects without an agent, and with several."""

import base64

import pytest
from cryptography.fernet import Fernet
from prometheus_client import Counter
from structlog.testing import capture_logs

from common.ids import Uid
from tests.unit.watcher.rig import OTHER_TOKEN as OTHER
from tests.unit.watcher.rig import TOKEN, Rig, agent_env, event, pod, replica_set, secret_env
from watcher.leaving import LEAVING_S
from watcher.mounts import Kind
from watcher.packed import unpack
from watcher.sought import Failure, NoToken, Reading, Source, SourceData
from watcher.sources import SourceName


def _counted(rig: Rig, why: NoToken) -> float:
    return float(rig.metrics.agents_without_token.labels(why.value)._value.get())  # noqa: SLF001 - no other way to read


async def test_an_object_without_a_token_is_counted_once_and_no_noise() -> None:
    rig = Rig()
    with capture_logs() as logs:
        for verb in ("ADDED", "MODIFIED", "MODIFIED"):
            await rig.deliver("pods", verb, pod(env=[]))
            await rig.deliver("pods", verb, pod("other", env=[]))
    assert _counted(rig, NoToken.NONE) == 2
    assert [(entry["log_level"], entry["name"]) for entry in logs] == [("debug", "pod-1"), ("debug", "other")]


async def test_a_token_that_is_none_is_said_and_counted_once_for_each_object() -> None:
    rig, env = Rig(), [{"name": "CODER_AGENT_TOKEN", "value": "no-uuid"}]
    with capture_logs() as logs:
        for verb in ("ADDED", "MODIFIED", "MODIFIED"):
            await rig.deliver("pods", verb, pod(env=env))
            await rig.deliver("pods", verb, pod("other", env=env))
    assert _counted(rig, NoToken.NOT_A_UUID) == 2
    assert [(entry["log_level"], entry["name"], entry["why"]) for entry in logs] == [
        ("warning", "pod-1", "not_a_uuid"),
        ("warning", "other", "not_a_uuid"),
    ]
    assert "no-uuid" not in repr(logs)  # it may be a secret of another kind


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Failure.MISSING, NoToken.SECRET_MISSING),
        (Failure.FORBIDDEN, NoToken.SECRET_FORBIDDEN),
        (Failure.UNREADABLE, NoToken.SECRET_UNREADABLE),
        (SourceData({"other": "eA=="}), NoToken.SECRET_KEY_MISSING),
        (SourceData({"token": "eA=="}), NoToken.NOT_A_UUID),
    ],
)
async def test_a_secret_without_the_token_is_said_and_counted_once_for_each_object(
    answer: Reading, why: NoToken
) -> None:
    rig, name = Rig(), SourceName("ns", Source(Kind.SECRET, "agent"))
    with capture_logs() as logs:
        for uid in ("pod-1", "other"):
            await rig.deliver("pods", "ADDED", pod(uid, env=secret_env()))
            for _ in range(3):
                await rig.deliver("pods", "MODIFIED", pod(uid, env=secret_env()))
                assert not rig.registrar.source_answered(Uid(uid), name, answer)
    assert _counted(rig, why) == 2
    assert [(entry["log_level"], entry["name"], entry["why"]) for entry in logs] == [
        ("warning", "pod-1", why),
        ("warning", "other", why),
    ]


async def test_a_replica_set_that_is_not_selected_lacks_no_token() -> None:
    rig = Rig(selector="app=coder")
    await rig.deliver("replicasets", "ADDED", replica_set(labels={"app": "web"}))
    assert _counted(rig, NoToken.NONE) == 0


async def test_nothing_is_kept_of_an_object_without_a_token_that_is_gone() -> None:
    rig = Rig()
    for number in range(100):
        await rig.deliver("pods", "ADDED", pod(f"p{number}", env=[]))
        await rig.deliver("pods", "DELETED", pod(f"p{number}", env=[]))
    assert _counted(rig, NoToken.NONE) == 100
    assert not rig.directory._bare  # noqa: SLF001 - memory is what is tested


AGENT = SourceName("ns", Source(Kind.SECRET, "agent"))


async def _left_unread() -> Rig:
    """A pod came and went, and its Secret was not read yet."""
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=secret_env()))
    await rig.deliver("events", "ADDED", event())
    await rig.deliver("pods", "DELETED", pod(env=secret_env()))
    return rig


async def test_what_went_before_its_secret_was_read_is_told_to_its_end_once_it_is() -> None:
    rig = await _left_unread()
    assert rig.outbox.records == []
    await rig.deliver("events", "ADDED", event("e2", reason="Killing"))
    assert rig.registrar.source_answered(Uid("pod-1"), AGENT, _secret(token=TOKEN))
    assert rig.outbox.said == ["Pod Created", "Pod Scheduled x1", "Pod Killing x1", "Pod Deleted"]
    assert rig.outbox.released == [(rig.vault.agent_id(TOKEN), "pod-1")]
    assert (len(rig.parking), rig.directory.get(Uid("pod-1")), rig.outbox.objects["pods/*"]) == (0, None, {})


async def test_an_end_that_waits_for_a_secret_is_read_again_by_whoever_comes_next() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=secret_env(), version="11"))
    await rig.deliver("pods", "DELETED", pod(env=secret_env(), version="12"))
    await rig.deliver("pods", "ADDED", pod("other", version="13"))
    after = Rig()
    assert after.registrar.load(rig.outbox.objects["pods/*"])
    assert rig.outbox.positions["pods/*"] == "11"
    await after.deliver("pods", "DELETED", pod(env=secret_env(), version="12"))
    for each in (rig, after):
        assert each.registrar.source_answered(Uid("pod-1"), AGENT, _secret(token=TOKEN))
        assert [word for word in each.outbox.said if "Deleted" in word] == ["Pod Deleted"]
    await rig.deliver("pods", "ADDED", pod("third", version="14"))
    assert rig.outbox.positions["pods/*"] == "14"


async def test_an_end_in_a_namespace_that_somebody_else_reads_now_holds_nothing_back() -> None:
    rig = await _left_unread()
    rig.directory.clear(lambda namespace: namespace == "ns")
    await rig.deliver("pods", "ADDED", pod("other", version="14"))
    assert rig.outbox.positions["pods/*"] == "14"


@pytest.mark.parametrize("answer", [Failure.MISSING, Failure.FORBIDDEN, SourceData({})])
async def test_nothing_is_kept_of_what_went_and_has_no_agent(answer: Reading) -> None:
    rig = await _left_unread()
    assert rig.registrar.source_answered(Uid("pod-1"), AGENT, answer)
    assert (rig.outbox.records, len(rig.parking), rig.directory.get(Uid("pod-1"))) == ([], 0, None)
    assert (rig.outbox.objects["pods/*"], rig.directory._bare) == ({}, {})  # noqa: SLF001 - memory is what is tested


async def test_a_secret_that_cannot_be_read_for_a_minute_is_waited_for_no_longer_by_what_went() -> None:
    rig = await _left_unread()
    assert not rig.registrar.source_answered(Uid("pod-1"), AGENT, Failure.UNREADABLE)
    rig.clock.now_s += LEAVING_S
    rig.registrar.tick()
    assert rig.directory.get(Uid("pod-1")) is not None
    rig.clock.now_s += 1
    rig.registrar.tick()
    assert rig.directory.get(Uid("pod-1")) is None


async def test_the_last_look_sees_each_source_that_may_have_the_token() -> None:
    rig = Rig()
    value = pod(env=secret_env())
    value["spec"]["containers"].append({"name": "second", "env": secret_env("other")})
    await rig.deliver("pods", "ADDED", value)
    await rig.deliver("pods", "DELETED", value)
    assert not rig.registrar.source_answered(Uid("pod-1"), AGENT, Failure.FORBIDDEN)
    other = SourceName("ns", Source(Kind.SECRET, "other"))
    assert rig.registrar.source_answered(Uid("pod-1"), other, _secret(token=TOKEN))
    assert rig.outbox.said == ["Pod Created", "Pod Deleted"]


async def test_what_is_seen_again_has_not_gone() -> None:
    rig = await _left_unread()
    await rig.deliver("pods", "ADDED", pod(env=secret_env()))
    assert rig.registrar.source_answered(Uid("pod-1"), AGENT, _secret(token=TOKEN))
    assert rig.outbox.said == ["Pod Created", "Pod Scheduled x1"]


def _zeros(counter: Counter, label: str) -> set[str]:
    (family,) = counter.collect()
    return {each.labels[label] for each in family.samples if each.name.endswith("_total") and each.value == 0}


def test_reasons_and_outcomes_begin_at_zero() -> None:
    metrics = Rig().metrics
    assert _zeros(metrics.objects_not_followed, "reason") == {"known_max"}
    assert _zeros(metrics.agents_without_token, "reason") == set(NoToken)
    failures = {f"{kind}_{why}" for kind in ("secret", "configmap") for why in ("missing", "forbidden", "unreadable")}
    answers = {"read", "too_many", *failures}
    assert _zeros(metrics.secrets_lookups, "outcome") == answers


async def test_a_secret_read_for_an_ephemeral_container_changes_no_other_agent() -> None:
    rig = Rig()
    name, uid = SourceName("ns", Source(Kind.SECRET, "agent")), Uid("pod-1")
    await rig.deliver("pods", "ADDED", pod(env=secret_env(), started=True))
    rig.registrar.source_answered(uid, name, _secret(token=TOKEN))
    joined = pod(env=secret_env(), started=True)
    joined["spec"]["ephemeralContainers"] = [{"name": "debug", "env": secret_env(key="debug")}]
    await rig.deliver("pods", "MODIFIED", joined)
    assert rig.registrar.source_answered(uid, name, _secret(token="99999999-0000-4000-8000-000000000000", debug=OTHER))
    known = rig.directory.get(uid)
    assert known is not None
    assert [seat.agent for seat in known.seats] == [rig.vault.agent_id(TOKEN), rig.vault.agent_id(OTHER)]


def _secret(**values: str) -> SourceData:
    return SourceData({key: base64.b64encode(value.encode()).decode() for key, value in values.items()})


async def test_saved_tokens_are_sealed_anew_under_the_first_key() -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    before = Rig(token_keys=[old])
    await before.deliver("pods", "ADDED", pod())
    after = Rig(token_keys=[new, old])
    assert after.registrar.load(before.outbox.objects["pods/*"])
    ((agent, uid, card),) = after.outbox.registered
    assert (agent, uid) == (before.vault.agent_id(TOKEN), "pod-1")
    assert Rig(token_keys=[new]).vault.unseal(card.sealed_token) == TOKEN
    saved = unpack(after.outbox.objects["pods/*"][Uid("pod-1")], after.vault)
    assert saved is not None
    assert saved.known.seats[0].sealed_token == card.sealed_token


async def test_tokens_under_the_present_key_are_left_alone() -> None:
    before, after = Rig(), Rig()
    await before.deliver("pods", "ADDED", pod())
    assert after.registrar.load(before.outbox.objects["pods/*"])
    assert not after.outbox.registered
    assert not after.outbox.objects


async def test_a_token_under_a_lost_key_is_sealed_anew_when_its_object_is_read_again() -> None:
    before, after = Rig(token_keys=[Fernet.generate_key()]), Rig()
    await before.deliver("pods", "ADDED", pod(started=True))
    assert not after.registrar.load(before.outbox.objects["pods/*"])
    assert not after.outbox.registered  # never a card that nobody can read
    assert after.registrar.card_of(after.vault.agent_id(TOKEN)) is None
    await after.deliver("pods", "MODIFIED", pod(started=True))
    ((agent, _, card),) = after.outbox.registered
    assert agent == before.vault.agent_id(TOKEN)
    assert after.vault.unseal(card.sealed_token) == TOKEN
    assert not after.outbox.said  # it is no news


async def test_a_token_from_a_secret_under_a_lost_key_is_read_from_it_again() -> None:
    before, after = Rig(token_keys=[Fernet.generate_key()]), Rig()
    await before.deliver("pods", "ADDED", pod(env=secret_env()))
    before.registrar.source_answered(Uid("pod-1"), SourceName("ns", Source(Kind.SECRET, "agent")), _secret(token=TOKEN))
    assert not after.registrar.load(before.outbox.objects["pods/*"])
    await after.deliver("pods", "MODIFIED", pod(env=secret_env(), started=True))
    after.registrar.source_answered(Uid("pod-1"), SourceName("ns", Source(Kind.SECRET, "agent")), _secret(token=TOKEN))
    assert [after.vault.unseal(card.sealed_token) for _, _, card in after.outbox.registered] == [TOKEN]


async def test_an_emptied_redis_meets_tokens_under_a_lost_key_without_them() -> None:
    before, after = Rig(token_keys=[Fernet.generate_key()]), Rig()
    await before.deliver("pods", "ADDED", pod(started=True))
    after.registrar.load(before.outbox.objects["pods/*"])
    assert after.registrar.start_over(after.vault) == {}
    await after.deliver("pods", "MODIFIED", pod(started=True))
    assert [agent for agent, _, _ in after.outbox.registered] == [after.vault.agent_id(TOKEN)]


def _not_followed(rig: Rig) -> float:
    return float(rig.metrics.objects_not_followed.labels("known_max")._value.get())  # noqa: SLF001 - as above


async def test_beyond_the_bound_an_object_is_passed_over_and_its_agent_told_once() -> None:
    rig = Rig(known_max=1)
    other = pod("p2", env=agent_env(OTHER))
    with capture_logs() as logs:
        await rig.deliver("pods", "ADDED", pod("p1"))
        for verb in ("ADDED", "MODIFIED", "MODIFIED"):
            await rig.deliver("pods", verb, other)
        await rig.deliver("pods", "ADDED", pod("p3", env=agent_env(OTHER)))
    assert _not_followed(rig) == 2
    assert [(entry["log_level"], entry["remedy"]) for entry in logs] == [
        ("error", "raise --known-max, or let more watchers share the namespaces")
    ]
    told = [(record.object.uid, record.reason) for record in rig.outbox.records]
    assert told == [("p1", "Created"), ("p2", "NotFollowed"), ("p3", "NotFollowed")]
    agent = rig.vault.agent_id(OTHER)
    assert rig.outbox.released == [(agent, "p2"), (agent, "p3")]  # nothing is kept of it
    assert [uid for _, uid, _ in rig.outbox.registered] == ["p1", "p2", "p3"]
    assert len(rig.directory) == 1
    assert set(rig.outbox.objects["pods/*"]) == {"p1"}


async def test_events_about_an_object_that_is_not_followed_do_not_wait() -> None:
    rig = Rig(known_max=1)
    await rig.deliver("pods", "ADDED", pod("p1"))
    await rig.deliver("events", "ADDED", event(about="p2"))
    await rig.deliver("pods", "ADDED", pod("p2", env=agent_env(OTHER)))
    await rig.deliver("events", "ADDED", event("ev-2", about="p2"))
    assert len(rig.parking) == 0


async def test_an_object_that_was_passed_over_is_met_again_when_it_changes_and_there_is_room() -> None:
    rig = Rig(known_max=1)
    other = pod("p2", env=agent_env(OTHER))
    await rig.deliver("pods", "ADDED", pod("p1"))
    await rig.deliver("pods", "ADDED", other)
    await rig.deliver("pods", "DELETED", pod("p1", deleting=True))
    await rig.deliver("pods", "MODIFIED", other)
    await rig.deliver("events", "ADDED", event(about="p2"))
    told = [record.reason for record in rig.outbox.records if record.object.uid == "p2"]
    assert told == ["NotFollowed", "Created", "Scheduled"]


async def test_what_was_followed_before_a_restart_is_followed_whatever_the_bound() -> None:
    before = Rig()
    for uid in ("p1", "p2"):
        await before.deliver("pods", "ADDED", pod(uid))
    after = Rig(known_max=1)
    after.registrar.load(before.outbox.objects["pods/*"])
    assert len(after.directory) == 2
