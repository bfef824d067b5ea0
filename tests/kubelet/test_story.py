"""What makes two stories the same, and what does not."""

from tests.cluster.harness import Line
from tests.kubelet.story import Voice, story, voices

CREATED = "debug 🐳 Created pod: dev"
PULLING = "debug Pulling image"
CRASHED = ["error 💥 Container dev ended with exit code 1", "error › no database"]


def told(*texts: str) -> list[str]:
    return story(Line(level="debug", text=text) for text in texts)


def test_voices_may_come_in_between_but_keep_their_own_order() -> None:
    assert voices([CREATED, PULLING, *CRASHED]) == voices([CREATED, *CRASHED, PULLING])
    assert voices([CREATED, PULLING]) != voices([PULLING, CREATED])
    assert voices([*CRASHED, "warn  ⏳ a pause"]) != voices(["warn  ⏳ a pause", *CRASHED])


def test_a_line_more_or_less_is_another_story() -> None:
    assert voices([CREATED, PULLING, PULLING]) != voices([CREATED, PULLING])
    assert voices([CREATED, CRASHED[0]]) != voices([CREATED, *CRASHED])


def test_what_follows_a_line_belongs_to_it() -> None:
    hint = "info  💡 Choose a larger size."
    assert voices([PULLING, hint, *CRASHED])[Voice.KUBELET] == [(PULLING, hint)]


def test_what_chance_decides_is_alike_and_all_else_is_kept() -> None:
    assert told("🐳 Created pod: dev-6b96966db5-8nkvt", "Container created (dev) ×2 over 3s (at 10:00:00 UTC)") == [
        "debug 🐳 Created pod: dev-RS-POD",
        "debug Container created (dev) ×2 over TIME",
    ]
    alike = told("⏱️ Pod started in 1 s — image under 1 s (1 MB)")
    assert told("⏱️ Pod started in 9 s — scheduled 1 s · image 7 s (1.2 MB) · containers 1 s") == alike
    assert told("⏱️ Pod started in 9 s — volumes and network 8 s · image cached") != alike


def a_try(name: str, count: str = "") -> str:
    return f'FailedCreate: Error creating: pods "dev-6b96966db5-{name}" is forbidden{count}'


def test_of_tries_to_make_a_pod_the_first_is_taken_as_long_as_they_are_counted() -> None:
    first, second, eighth = a_try("8nkvt"), a_try("w78zs", " ×2"), a_try("bbbbb", " ×8 over 2s (at 10:00:00 UTC)")
    assert told(first, second, eighth) == told(first) == told(second, eighth)
    for wrong in ((first, a_try("w78zs")), (second, first), (second, eighth, second), (first, first)):
        assert told(*wrong) != told(first)
    assert len(told(first, "FailedCreate: another reason")) == 2
