"""The dashboard that ships, as a file. That its queries have answers is `test_stack`'s."""

from tests.metrics.shipped import dashboard, panels, selectors


def test_panels_have_numbers_of_their_own_and_lie_beside_each_other() -> None:
    shown = dashboard()["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    taken: dict[tuple[int, int], str] = {}
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_every_panel_says_what_it_shows_in_which_unit() -> None:
    assert [panel["title"] for panel in panels() if not panel["description"].endswith(".")] == []
    assert [panel["title"] for panel in panels() if not panel["fieldConfig"]["defaults"]["unit"]] == []


def test_every_query_goes_to_the_chosen_data_source_and_keeps_to_the_chosen_jobs() -> None:
    asked = [target for panel in panels() for target in panel["targets"]]
    assert {target["datasource"]["uid"] for target in asked} == {"${datasource}"}
    chosen = 'job=~"$job", namespace=~"$namespace"'
    assert [each for target in asked for each in selectors(target["expr"]) if chosen not in each] == []
    assert [each["name"] for each in dashboard()["templating"]["list"]] == ["datasource", "namespace", "job"]
