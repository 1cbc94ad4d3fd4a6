#!/usr/bin/env python
"""Django's command door: points at config.settings, and does nothing else."""

import os
import sys


def main() -> None:
    """Run the management command named on the command line; a bad environment is a text, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from config.env import EnvironmentFault

    try:
        execute_from_command_line(sys.argv)
    except EnvironmentFault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
