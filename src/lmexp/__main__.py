"""``python -m lmexp``, which is the ``lmexp`` command."""

import sys

from lmexp.cli import main

if __name__ == "__main__":
    sys.exit(main())
