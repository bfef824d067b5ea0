"""A workspace's log as a story that can be told again: what differs from run to run made alike. Pure.

Different sources tell side by side, and nothing holds the order between them: Events of the kubelet, of the scheduler
and of controllers, the status of a pod, the summary of its start. Each is a voice. Two stories are the same if each
voice says the same in the same order; of pods and ReplicaSets that come and go all voices know.
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from tests.cluster.harness import Line

TRY: Final = "FailedCreate: "
Paragraph = tuple[str, ...]
"""A line and what belongs to it: hints, quoted words."""


class Voice(StrEnum):
    LIVES = "lives"
    """Heard among each of the others, too."""
    OWNER = "owner"
    """Its end: how it goes together with that of its pods is nobody's promise."""
    STATUS = "status"
    START = "start"
    SCHEDULER = "scheduler"
    CONTROLLERS = "controllers"
    KUBELET = "kubelet"


_VOICES: Final = (
    (Voice.OWNER, re.compile("🗑️ Deleted ReplicaSet")),
    (Voice.LIVES, re.compile(r"[🐳🗑]")),
    (Voice.START, re.compile("⏱")),
    (Voice.STATUS, re.compile("[💥🏁⏳⌛📦🚧🚫🔌📜]")),
    (Voice.SCHEDULER, re.compile(r".*\(Scheduled\)$")),
    (Voice.CONTROLLERS, re.compile(rf"{TRY}|.*\((?:ScalingReplicaSet|SuccessfulDelete)[,)]")),
    (Voice.KUBELET, re.compile("")),
)
_FOLLOWS: Final = re.compile("[💡🔧›]")
_COUNT: Final = re.compile(r" ×(\d+)(?: over TIME)?$")
_ALIKE: Final = (
    (re.compile(r"\bdev-[0-9a-f]{5,10}-[0-9a-z]{5}\b"), "dev-RS-POD"),
    (re.compile(r"\bdev-[0-9a-f]{5,10}\b"), "dev-RS"),
    (re.compile(r"\b198\.18\.\d+\.2:\d+"), "MIRROR"),
    (re.compile(r" \((?:at|on) [^()]* UTC\)$"), ""),  # it came late
    (re.compile(r"(?<= over )\d+[sm]$|(?<=[ (])[\d.]+m?s(?= )"), "TIME"),
    (re.compile(r"\b(?:under )?\d+ s\b|less than a second"), "TIME"),
    (re.compile(r"\b[\d.]+ (?:MB\b|bytes(?=\.$))"), "SIZE"),
    # Phases of less than a second have no mention.
    (re.compile(r" (?:—|·) (?:scheduled|volumes and network|containers|init containers) TIME"), ""),
    (re.compile(r"(?<=^⏱️ Pod started in TIME) ·"), " —"),
)


def story(lines: Iterable[Line]) -> list[str]:
    """The log's text, level first, without what chance or the machine decides.

    How often a controller tries to make a pod depends on the moment: of what repeats so only the first line is taken,
    as long as the counts of the others grow.
    """
    tries: dict[str, int] = {}
    told = []
    for line in lines:
        alike = _alike(line.text)
        if alike.startswith(TRY):
            shown = _COUNT.search(alike)
            alike, count = _COUNT.sub("", alike), int(shown[1]) if shown else 1
            is_more = 0 < tries.get(alike, 0) < count
            tries[alike] = count
            if is_more:
                continue
        told.append(f"{line.level:5} {alike}")
    return told


def voices(told: Sequence[str]) -> dict[Voice, list[Paragraph]]:
    """What each says in a story."""
    heard: dict[Voice, list[Paragraph]] = {voice: [] for voice in Voice}
    for paragraph in _paragraphs(told):
        voice = next(voice for voice, opening in _VOICES if opening.match(paragraph[0][6:]))
        for each in Voice if voice is Voice.LIVES else (voice,):
            heard[each].append(paragraph)
    return heard


def _paragraphs(told: Iterable[str]) -> list[Paragraph]:
    paragraphs: list[Paragraph] = []
    for line in told:
        if _FOLLOWS.match(line[6:]) and paragraphs:
            paragraphs[-1] += (line,)
        else:
            paragraphs.append((line,))
    return paragraphs


def _alike(text: str) -> str:
    for varying, instead in _ALIKE:
        text = varying.sub(instead, text)
    return text
