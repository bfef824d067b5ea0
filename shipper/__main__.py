"""`python -m shipper`: one shipper process."""

import sys

from common.settings.flags import run_program
from common.settings.shipper import ShipperSettings
from shipper.program import run_shipper

if __name__ == "__main__":
    sys.exit(run_program("shipper", ShipperSettings, run_shipper))
