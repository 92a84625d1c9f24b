"""Run the command with ``python -m alsnb``."""

import sys

from alsnb.cli import main

sys.exit(main())
