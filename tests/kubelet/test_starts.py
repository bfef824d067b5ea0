"""What the owner of a workspace reads while a real kubelet starts it, and fails to: the whole log, to its end.

The texts in `expected/` were read and found right. Where a kubelet has two ways to tell the same there is a second one.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.kubelet.node import group_name
from tests.kubelet.play import Played
from tests.kubelet.registry import LARGE_TAKES_S
from tests.kubelet.scenarios import SCENARIOS
from tests.kubelet.story import story, voices
from tests.kubelet.traces import control_groups

EXPECTED = Path(__file__).parent / "expected"


pytestmark = pytest.mark.timeout(300)  # the first waits for all


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_a_real_start_is_read_as_these_lines(name: str, played: Mapping[str, Played]) -> None:
    told = story(played[name].lines)
    print("\n".join(told))  # noqa: T201 — pytest shows it if the test failed
    assert not played[name].stood_still
    first, *others = (voices(each.read_text().splitlines()) for each in sorted(EXPECTED.glob(f"{name}.*lines")))
    if voices(told) not in others:
        assert voices(told) == first


def test_the_phases_of_a_real_start_add_up(played: Mapping[str, Played]) -> None:
    (line,) = [line.text for line in played["normal"].lines if line.text.startswith("⏱️")]
    total_s, *phases_s = (int(seconds) for seconds in re.findall(r"(\d+) s\b", line))
    assert sum(phases_s) == total_s, line
    image = re.search(r"image (\d+) s", line)
    assert image is not None, line
    assert int(image[1]) >= LARGE_TAKES_S, line


def test_a_node_leaves_no_process_behind(played: Mapping[str, Played]) -> None:
    assert played
    assert not [group for group in control_groups(group_name()) if group.exists()]  # one with processes cannot go
