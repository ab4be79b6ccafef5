"""Print and log to pipes whose reader has ended, then write the file in the first argument."""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

from flows.runtime.lost_output import discard_lost_output

discard_lost_output()
handler = PrefectConsoleHandler()
console = Console(force_terminal=False)
sys.stdin.read()
logger = logging.getLogger("lost")
logger.addHandler(handler)
logger.warning("to stderr")
console.print("to stdout")
print("to stdout again", flush=True)
Path(sys.argv[1]).write_text("went on")
