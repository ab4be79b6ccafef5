"""Create the file in the first argument, then run until the watched parent ends."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from flows.runtime.parent_watch import end_with_parent

end_with_parent()
Path(sys.argv[1]).touch()
time.sleep(120)
