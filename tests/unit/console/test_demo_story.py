"""The demo's plot."""

from console.demo_story import stories
from console.doubles.kube_control import Put


def test_there_are_seven_workspaces_each_with_its_own_token_and_namespace() -> None:
    played = stories(1_800_000_000.0)
    assert len(played) == len({story.token for story in played}) == len({story.workspace for story in played}) == 7
    namespaces = [
        {step.write.object["metadata"]["namespace"] for step in story.steps if isinstance(step.write, Put)}
        for story in played
    ]
    assert all(len(names) == 1 for names in namespaces)
    assert len(set.union(*namespaces)) == 7


def test_tokens_and_uids_are_new_each_time() -> None:
    first, second = stories(1_800_000_000.0), stories(1_800_000_000.0)
    for one, other in zip(first, second, strict=True):
        assert one.token != other.token
        assert one.steps[0].write != other.steps[0].write


def test_the_whole_takes_a_quarter_of_a_minute_at_most() -> None:
    assert max(step.at_s for story in stories(1_800_000_000.0) for step in story.steps) < 15
