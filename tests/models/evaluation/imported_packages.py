"""Print the third-party packages that importing modules loads: python FILE MODULE..."""

import importlib
import sys
from importlib.metadata import packages_distributions

for module in sys.argv[1:]:
    importlib.import_module(module)
installed = set(packages_distributions())
print(*sorted(installed & {name.split(".")[0] for name in sys.modules}))
