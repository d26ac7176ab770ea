"""``python -m afield.cli`` is the same as ``afield``."""

import sys

from afield.cli.main import main

sys.exit(main())
