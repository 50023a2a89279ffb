"""Run the command ``featrec`` with ``python -m featrec``."""

import sys

from featrec.cli import main

if __name__ == "__main__":
    sys.exit(main())
