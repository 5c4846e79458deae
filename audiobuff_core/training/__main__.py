"""The module's command line."""

import sys

from audiobuff_core.training.cli import main

sys.exit(main())
