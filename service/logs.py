"""Logs: one JSON object a line on stderr, or text for people.

What libraries say through the standard library's logging has the same form, from warnings on; what
the pool of connections repeats while the database is away, once a minute. JSON is UTF-8 whatever
the locale. An exception is a bounded field, of which `service.exceptions` says what it has; at
level debug it has all frames. Text has colours on a terminal alone, and not where NO_COLOR is set
(https://no-color.org).
"""

import io
import json
import logging
import os
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Literal, TextIO, cast

import msgspec
import structlog

from service.exceptions import described, lines, without_traceback

Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]

_REPEATED_S = 60.0
_MOST_TEXTS = 100  # that are remembered

_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(level: Level, log_format: LogFormat) -> None:
    """Set structlog and the standard library's logging up for this process."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    rendered = [_Exceptions(in_full=level == "debug"), *_rendered(log_format)]
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
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
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
    logging.getLogger("psycopg.pool").addFilter(_Seldom())
    sys.excepthook = _log_the_end


def _rendered(log_format: LogFormat) -> list[structlog.typing.Processor]:
    if log_format == "console":
        has_colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        return [_exception_as_text, structlog.dev.ConsoleRenderer(colors=has_colors)]
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8")
    return [structlog.processors.JSONRenderer(_line)]


class _Stderr:
    """stderr, but a line that cannot be written is lost and ends nothing: its disk may be full."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


class _Seldom(logging.Filter):
    """A filter that lets the same text pass once in `_REPEATED_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_at_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text, now_s = record.getMessage(), time.monotonic()
        if now_s - self._passed_at_s.get(text, -_REPEATED_S) < _REPEATED_S:
            return False
        if len(self._passed_at_s) >= _MOST_TEXTS:
            self._passed_at_s.clear()
        self._passed_at_s[text] = now_s
        return True


class _Exceptions:
    """A processor for exceptions: those given as such, and those that a library wrote as text."""

    def __init__(self, *, in_full: bool) -> None:
        self._in_full = in_full

    def __call__(
        self, _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        given = event.pop("exc_info", None)
        error = sys.exc_info()[1] if given is True else given
        if isinstance(error, tuple):
            error = error[1]
        if isinstance(error, BaseException):
            event["exception"] = described(error, in_full=self._in_full)
        if isinstance(event["event"], str):
            event["event"] = without_traceback(event["event"])
        return event


def _exception_as_text(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if (error := event.get("exception")) is not None:
        event["exception"] = "\n".join(lines(error))
    return event


def _log_the_end(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log what ends the process, in the form of every other line."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger("service").critical("the process failed", exc_info=error)


def _line(event: structlog.typing.EventDict, **_: object) -> str:
    try:
        return _encoder.encode(event).decode()
    except UnicodeEncodeError:  # half a pair, as file names may have
        return json.dumps(event, default=repr)
