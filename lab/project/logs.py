"""The log as one line of JSON for each record, so that a test can count them and only real accidents say Traceback."""

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
