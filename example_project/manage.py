#!/usr/bin/env python
"""Run the example's administrative commands: ``python example_project/manage.py runserver --multithreaded``."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    execute_from_command_line(sys.argv)
