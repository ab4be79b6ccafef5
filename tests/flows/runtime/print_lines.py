"""Print the arguments after the first, one per line, and exit with the first as the code."""

import sys

for line in sys.argv[2:]:
    print(line)
sys.exit(int(sys.argv[1]))
