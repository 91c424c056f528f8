"""``python -m leanhost`` is the ``leanhost`` command."""

import sys

from leanhost.cli import main

if __name__ == "__main__":
    sys.exit(main())
