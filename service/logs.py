"""Logs: one JSON object a line on stderr, or text for people.

What libraries say through the standard library's logging has the same form, from warnings on. JSON
is UTF-8 whatever the locale.
"""

import io
import json
import logging
import sys
from typing import Literal

import msgspec
import structlog

Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]

_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(level: Level, log_format: LogFormat) -> None:
    """Sets structlog and the standard library's logging up for this process."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    rendered = _rendered(log_format)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                stamp,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _rendered(log_format: LogFormat) -> list[structlog.typing.Processor]:
    if log_format == "console":
        return [structlog.dev.ConsoleRenderer()]
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8")
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_line)]


def _line(event: structlog.typing.EventDict, **_: object) -> str:
    try:
        return _encoder.encode(event).decode()
    except UnicodeEncodeError:  # half a pair, as file names may have
        return json.dumps(event, default=repr)
