"""Every shell command on the pages is run by a test, or is listed with the reason why it is not."""

import msgspec

from tests.docs.accounts import FILE, Accounts, Unrun, read_accounts, unaccounted
from tests.docs.blocks import PROGRAMS, Stage, all_blocks, blocks_in, head_of
from tests.unit.docs.pages import PAGES, ROOT, fences, name_of

NOTHING = Accounts([], [], [], [])
PAGE = ROOT / "docs" / "made-up.md"
TEXT = """\
Do this:

1. First

   ```sh
   # a comment
   A=1 B='x' make demo
   helm install a \\
     --set url=x
   ```

```console
$ frobnicate --all
done
```

```yaml
not: a command
```
"""


def test_every_command_is_accounted_for() -> None:
    blocks = all_blocks()
    assert {block.stage for block in blocks} == set(Stage)
    assert unaccounted(blocks, read_accounts(FILE.read_text())) == []


def test_no_command_stands_in_a_block_of_another_language() -> None:
    """Where it would not be seen."""
    heads = set().union(*PROGRAMS.values())
    lines = [
        (page, line) for page in PAGES for name in ("", "text") for line in "".join(fences(page, name)).splitlines()
    ]
    assert [f"{name_of(page)}: {line}" for page, line in lines if line.split(" ")[0] in heads] == []


def test_commands_are_found_in_lists_with_their_continued_lines_and_without_answers() -> None:
    first, second = blocks_in(PAGE, TEXT)
    assert first.commands == ("A=1 B='x' make demo", "helm install a --set url=x")
    assert (first.line, second.line) == (6, 13)
    assert second.commands == ("frobnicate --all",)
    assert head_of(first.commands[0]) == "make"


def test_a_command_that_nobody_runs_is_named_with_its_place_and_what_to_do() -> None:
    (said,) = unaccounted(blocks_in(PAGE, TEXT.replace("make demo", "helm version")), NOTHING)
    assert said.startswith("docs/made-up.md:13: `frobnicate --all` is not accounted for. The machine tests run ")
    assert said.endswith("or say in tests/docs/commands.yaml why it is not run and what is run in its place")


def test_a_command_that_is_listed_with_a_reason_is_accounted_for() -> None:
    accounts = msgspec.structs.replace(NOTHING, unrun=[Unrun("frobnicate --all", "it is made up", "true")])
    assert unaccounted(blocks_in(PAGE, TEXT.replace("make demo", "helm version")), accounts) == []


def test_what_is_listed_and_on_no_page_is_named() -> None:
    accounts = msgspec.structs.replace(NOTHING, unrun=[Unrun("gone", "it is", "true")])
    assert unaccounted([], accounts) == ["tests/docs/commands.yaml: `gone` is on no page"]


def test_each_stage_has_its_test() -> None:
    files = {Stage.MACHINE: "docs/test_machine.py", Stage.CLUSTER: "cluster/test_docs.py"}
    for stage, file in {**files, Stage.DOCKER: "image/test_docs.py"}.items():
        assert f"pages_on(Stage.{stage.name})" in (ROOT / "tests" / file).read_text()
