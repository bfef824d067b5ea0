"""Logging of every program: structlog, and all other libraries' logging through it; JSON is a line each.

Keeps guarantee 6: each finished line passes `redact_text`, tracebacks and uncaught exceptions included.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from io import TextIOBase
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

from common.settings.base import LogFormat
from common.telemetry.redact import redact_keys, redact_text

__all__ = ["configure_logging", "wants_json"]

_CHATTY: Final = ("asyncio", "httpx", "kubernetes", "rq", "urllib3")
"""Libraries that log each request or job at INFO; what they warn of is let through."""


def wants_json(log_format: LogFormat, stream: TextIO) -> bool:
    """Whether lines written to `stream` should be JSON."""
    match log_format:
        case LogFormat.AUTO:
            return not stream.isatty()
        case LogFormat.TEXT:
            return False
        case LogFormat.JSON:
            return True


def configure_logging(program: str, *, json: bool, level: str, stream: TextIO | TextIOBase | None = None) -> None:
    """Route all logging of this process to `stream` (stderr): JSON or key=value. Call once, first in `__main__`."""
    stream = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_program(program),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_RedactingFormatter(foreign_pre_chain=shared, processors=_rendering(json, stream.isatty())))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if root.level > logging.DEBUG:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda uncaught: _log_uncaught(
        uncaught.exc_type, uncaught.exc_value or uncaught.exc_type(), uncaught.exc_traceback
    )


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


def _rendering(json: bool, colours: bool) -> list[structlog.typing.Processor]:
    """From an event to its line."""
    first = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_keys]
    if json:
        return [*first, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [*first, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]


def _name_program(program: str) -> Callable[[Any, str, structlog.typing.EventDict], structlog.typing.EventDict]:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("program", program)
        return event

    return add


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("uncaught").critical("uncaught exception", exc_info=(kind, error, trace))
