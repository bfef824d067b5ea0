"""What the pages say of Helm can be done: each command's values are taken, and each value that is named exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.chart.helm import Helm
from tests.chart.values_page import CHART, values
from tests.unit.docs.pages import PAGES, fences, name_of, prose_of

URL: Final = ("--set", "url=https://coder.example.com")


def installations(page: Path) -> Iterator[list[str]]:
    """The flags that set values in each `helm install` and `helm upgrade` of the page."""
    for block in fences(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] in (["helm", "install"], ["helm", "upgrade"]):
                chart = next(word for word in words if word.startswith(("charts/", "oci://")))
                assert chart.endswith(f"{CHART.parent.name}/{CHART.name}")
                yield [word for at, word in enumerate(words) if "--set" in (word, words[at - 1])]


INSTALLATIONS: Final = [(page, flags) for page in PAGES for flags in installations(page)]


def test_there_are_some() -> None:
    assert {name_of(page) for page, _ in INSTALLATIONS} >= {"README.md", "docs/how-to/install-with-helm.md"}


@pytest.mark.parametrize(("page", "flags"), INSTALLATIONS, ids=lambda value: name_of(value) if value in PAGES else "")
def test_what_a_page_sets_is_rendered(page: Path, flags: list[str], helm: Helm) -> None:
    assert "kind: Deployment" in helm.run("template", "coder-logstream", str(CHART), *URL, *flags)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "how-to"], ids=name_of)
def test_every_value_that_a_page_names_exists(page: Path) -> None:
    paths = {value.path.strip("`*") for value in values()}
    known = paths | {path.partition(".")[0] for path in paths} | {path.rpartition(".")[0] for path in paths}
    heads = {path.partition(".")[0] for path in paths if "." in path}
    named = {
        word
        for word in re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)[=:`]", prose_of(page))
        if word.partition(".")[0] in heads
    }
    assert named - known == set()
