"""What the pages say of the programs themselves is done, between the doubles and on real Redis servers."""

import shutil
from pathlib import Path

import pytest

from common.crypto import new_token_key
from tests.docs.blocks import Block, Stage, all_blocks, head_of, pages_on
from tests.docs.reader import ROOT, Reader, checkout
from tests.docs.site import NAMESPACE, some_site
from tests.required import missing
from tests.unit.docs.pages import name_of

pytestmark = pytest.mark.timeout(600)

TOOLS = {"jq": "jq", "openssl": "openssl", "apt-get": "a Debian's apt-get", "redis-cli": "redis-tools"}
"""What the commands use, and the package that has it on Debian."""
APART = ("dry-run.md", "rotate-the-token-key.md", "run-apart.md")
"""Pages on which a watcher and a shipper meet in one Redis."""


@pytest.mark.parametrize("page", pages_on(Stage.MACHINE), ids=name_of)
def test_what_a_page_says_can_be_done(page: Path, tmp_path: Path, made: set[str]) -> None:
    blocks = [left for block in all_blocks([page]) if block.stage is Stage.MACHINE and (left := block.without(made))]
    made |= {command for block in blocks for command in block.commands if head_of(command) == "make"}
    home = checkout(tmp_path)
    shutil.copy(ROOT / "common" / "store" / "redis-users.acl", home)
    (home / "token-key").write_text(new_token_key())
    with (
        some_site(tmp_path) as (site, kubeconfig),
        Reader(home, site.stand_ins, {"KUBECONFIG": str(kubeconfig)}) as reader,
    ):
        for block in blocks:
            if looks(block) and not reader.running("run"):
                reader.start("run", f"coder-logstream --coder-url {site.coder} --namespaces {NAMESPACE}")
            reader.do(block)
            if reader.running("run") or (
                page.name in APART and reader.running("watcher") and reader.running("shipper")
            ):
                site.until_told(reader)


def looks(block: Block) -> bool:
    """Whether it looks how things stand, which takes something that is at work."""
    return any("coder-logstream status" in command or "coder-logstream doctor" in command for command in block.commands)


@pytest.fixture(scope="module")
def made() -> set[str]:
    """What `make` was asked for by pages before: it would be the same once more."""
    return set()


@pytest.fixture(autouse=True, scope="module")
def _tools() -> None:
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            missing(tool, f"apt-get install {package}")
