"""kubectl as Kubernetes releases it, built from its module."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.required import missing

BUILD: Final = Path(__file__).parent / "kubectl" / "build"


def kubectl_binary() -> Path:
    """From the cache, or built now (a minute or two, once). Ends the test if it cannot be had."""
    cached = subprocess.run([BUILD, "--cached"], capture_output=True, text=True, check=False)
    if cached.returncode == 0:
        return Path(cached.stdout.strip())
    if shutil.which("go") is None:
        missing("kubectl", "install Go 1.25 or newer")
    built = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=False)
    return (
        Path(built.stdout.strip()) if built.returncode == 0 else missing("kubectl", "it does not build here; see above")
    )
