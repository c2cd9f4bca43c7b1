"""`python -m tools.dashboards`: write the dashboards, or compare them."""

import sys

from tools.dashboards import main

if __name__ == "__main__":
    sys.exit(main())
