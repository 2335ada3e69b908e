"""A log of one line of JSON for each record: tests can count records, and find tracebacks that were not logged."""

import json
import logging


class Formatter(logging.Formatter):
    def format(self, record):
        error = record.exc_info[1] if record.exc_info else None
        return "LOG " + json.dumps(
            {
                "logger": record.name,
                "level": record.levelname,
                "message": record.getMessage(),
                "error": repr(error) if error else None,
            }
        )
