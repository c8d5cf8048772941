"""Logs: one JSON object a line on stderr, or text for people."""

import logging
import sys

import structlog

from webhooks.settings import DeliverSettings


def configure(settings: DeliverSettings) -> None:
    """Sets structlog up for this process; libraries say only what went wrong."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    as_json = settings.log_format == "json"
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The pool repeats what an outage has said already.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
