"""The folder of the published files, named by FLANMOE_FLAN_FILES."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("FLANMOE_FLAN_FILES", ""))
