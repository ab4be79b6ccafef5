"""Print the third-party packages that importing modules loads: python FILE MODULE[,MODULE ...] ...

A line per group of modules, imported in this order; each line includes those before.
"""

import importlib
import sys
from importlib.metadata import packages_distributions

installed = set(packages_distributions())
for group in sys.argv[1:]:
    for module in group.split(","):
        importlib.import_module(module)
    print(*sorted(installed & {name.split(".")[0] for name in sys.modules}))
