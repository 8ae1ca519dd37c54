"""Logging: one line per event, JSON when asked for, personal data never."""

import json
import logging
import sys
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the time in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Renders ``record`` with its time, level, logger, message and traceback, if any."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str, log_format: str) -> None:
    """Sends our loggers to stderr, as ``text`` or ``json``; libraries only from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    # By the handler: some libraries set their own loggers' levels.
    handler.addFilter(
        lambda record: record.name.startswith("leadengine") or record.levelno >= logging.WARNING
    )
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("leadengine").setLevel(level.upper())


def get_logger(name: str) -> logging.Logger:
    """A logger below ``leadengine``, so that one level governs all our rooms."""
    return logging.getLogger(f"leadengine.{name}")
