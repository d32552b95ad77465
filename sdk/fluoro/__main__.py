"""`python -m fluoro` is `fluoro`."""

import sys

from fluoro.cli import main

sys.exit(main())
