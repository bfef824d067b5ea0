"""The reference page is the declarations' own words."""

from common.settings.reference import REFERENCE, render
from common.settings.run import RunSettings


def test_the_page_is_fresh() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == render(), "run: python -m common.settings.reference"


def test_the_page_has_every_setting_once() -> None:
    page = render()
    for name in RunSettings.model_fields:
        assert page.count(f"### `{name}`\n") == 1
