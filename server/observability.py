"""Logs as JSON lines, and metrics in Prometheus' text format.

The metrics registry is our own: it takes fewer lines than the glue to a library, and limits the number of series.
"""

import json
import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO, TypeVar

from aiohttp import ClientConnectionResetError, web
from aiohttp.http_exceptions import HttpProcessingError
from cachetools import LRUCache

FIELD_LIMIT: Final = 4_000
SERIES_LIMIT: Final = 500
"""Maximum combinations of label values of a metric; further ones are counted under `other`."""

request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _shortened(trace: str) -> str:
    """The beginning and the end of a long trace; the end has the error itself."""
    if len(trace) <= FIELD_LIMIT:
        return trace
    return f"{trace[: FIELD_LIMIT // 2]} ... {trace[-FIELD_LIMIT // 2 :]}"


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, event, request id, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, in pure ASCII, so that no field's text can start a new line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:FIELD_LIMIT],
        }
        current = request_id.get()
        if current is not None:
            line["request_id"] = current
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = value[:FIELD_LIMIT] if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = _shortened(self.formatException(record.exc_info))
        return json.dumps(line, default=repr)


class ShortBadRequests(logging.Filter):
    """Removes the tracebacks that aiohttp logs for what clients do, so that clients cannot fill the disk.

    Those are malformed requests, bodies that are not encoded as their headers say, clients that leave, and
    connections for which there are not enough open files.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info and record.name == "aiohttp.server" else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            _shorten(record, "bad_request")
        elif isinstance(error, ClientConnectionResetError):
            _shorten(record, "client_left")
        elif record.name == "asyncio" and str(record.msg).startswith("socket.accept()"):
            _shorten(record, "connection_not_accepted", logging.ERROR)
        return True


def _shorten(record: logging.LogRecord, event: str, level: int = logging.INFO) -> None:
    record.msg, record.args, record.exc_info = event, (), None
    record.levelno, record.levelname = level, logging.getLevelName(level)


_OFTEN: Final = ("asyncio", "aiohttp", "server.api", "server.middleware.connections", "fingerprint.database")
"""The loggers, with those below them, whose lines clients or one broken part can cause without end."""

_OFTEN_BURST: Final = 20.0
_OFTEN_PER_SECOND: Final = 1.0


class FewOfEach(logging.Filter):
    """Passes some lines of each event, and with the next one the number of those that it did not.

    Of those events only that could fill the disk, such as connections that cannot be accepted.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        # Logger and event -> (what is left, when that was so, how many were left out).
        self._left: LRUCache[tuple[str, str], tuple[float, float, int]] = LRUCache(1_000)

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_OFTEN) or record.levelno < logging.INFO:
            return True
        now, key = self._monotonic(), (record.name, str(record.msg)[:200])
        left, at, skipped = self._left.get(key, (_OFTEN_BURST, now, 0))
        left = min(_OFTEN_BURST, left + (now - at) * _OFTEN_PER_SECOND)
        if left < 1.0:
            self._left[key] = (left, now, skipped + 1)
            return False
        if skipped:
            record.skipped_before = skipped
        self._left[key] = (left - 1.0, now, 0)
        return True


def configure_logging(level: str, stream: TextIO) -> None:
    """Send all logs at `level` and above to `stream`, as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(ShortBadRequests())
    handler.addFilter(FewOfEach())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("alembic", "watchfiles"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A traceback for each connection that a database lets hang: fingerprint.database_backends says it in a line.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


# --- Metrics ------------------------------------------------------------------------------------------

_Labels = tuple[str, ...]


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _exact(value: float) -> str:
    """A number in Prometheus' format without loss of precision."""
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2**53)
    return str(int(value)) if whole else repr(value).replace("inf", "Inf").replace("nan", "NaN")


def _series(name: str, labels: Sequence[str], values: Sequence[str]) -> str:
    pairs = ",".join(f'{label}="{_escape(value)}"' for label, value in zip(labels, values, strict=True))
    return f"{name}{{{pairs}}}" if pairs else name


class Counter:
    """A counter by label values. Labels need few values: never user names or ids."""

    def __init__(self, labels: _Labels) -> None:
        self._labels = labels
        self._values: dict[_Labels, float] = {}

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Add `amount` for these label values."""
        if values in self._values:
            self._values[values] += amount
            return
        if len(self._values) >= SERIES_LIMIT:
            values = ("other",) * len(self._labels)
        self._values[values] = self._values.get(values, 0.0) + amount

    def amounts(self) -> dict[_Labels, float]:
        """The amounts so far, by label values."""
        return dict(self._values)

    def lines(self, name: str) -> Iterator[str]:
        for values, amount in self._values.items():
            yield f"{_series(name, self._labels, values)} {_exact(amount)}"


class Gauge:
    """A metric whose values, by label values, are read by a callback when metrics are rendered."""

    def __init__(self, labels: _Labels, read: Callable[[], Mapping[_Labels, float]]) -> None:
        self._labels = labels
        self._read = read

    def lines(self, name: str) -> Iterator[str]:
        for values, amount in self._read().items():
            yield f"{_series(name, self._labels, values)} {_exact(amount)}"


class Histogram:
    """Counts of observed values in buckets, given by their upper bounds."""

    def __init__(self, labels: _Labels, bounds: Sequence[float]) -> None:
        self._labels = labels
        self._bounds = tuple(bounds)
        self._counts: dict[_Labels, list[int]] = {}
        self._sums: dict[_Labels, float] = {}

    def observe(self, value: float, *values: str) -> None:
        """Count a value for these label values."""
        counts = self._counts.get(values)
        if counts is None:
            if len(self._counts) >= SERIES_LIMIT:
                values = ("other",) * len(self._labels)
            counts = self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
            self._sums.setdefault(values, 0.0)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[values] += value

    def lines(self, name: str) -> Iterator[str]:
        labels = (*self._labels, "le")
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                total += count
                yield f"{_series(f'{name}_bucket', labels, (*values, bound))} {total}"
            yield f"{_series(f'{name}_sum', self._labels, values)} {_exact(self._sums[values])}"
            yield f"{_series(f'{name}_count', self._labels, values)} {total}"


M = TypeVar("M", Counter, Gauge, Histogram)


class Metrics:
    """The registry of one server's metrics."""

    def __init__(self) -> None:
        self._metrics: dict[str, tuple[str, str, Counter | Gauge | Histogram]] = {}

    def counter(self, name: str, description: str, *labels: str) -> Counter:
        """Register a counter; by convention, its name ends in `_total`."""
        return self._add(name, description, "counter", Counter(labels))

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> Gauge:
        return self._add(name, description, "gauge", Gauge((), lambda: {(): read()}))

    def gauges(
        self, name: str, description: str, read: Callable[[], Mapping[_Labels, float]], *labels: str
    ) -> Gauge:
        """Register a gauge with a value for each combination of label values that `read` returns."""
        return self._add(name, description, "gauge", Gauge(labels, read))

    def counted(
        self, name: str, description: str, read: Callable[[], Mapping[_Labels, float]], *labels: str
    ) -> Gauge:
        """Register a counter that is kept elsewhere; by convention, its name ends in `_total`."""
        return self._add(name, description, "counter", Gauge(labels, read))

    def histogram(self, name: str, description: str, bounds: Sequence[float], *labels: str) -> Histogram:
        return self._add(name, description, "histogram", Histogram(labels, bounds))

    def _add(self, name: str, description: str, kind: str, metric: M) -> M:
        self._metrics[name] = (description, kind, metric)
        return metric

    def render(self) -> str:
        """All metrics in Prometheus' text format 0.0.4."""
        lines: list[str] = []
        for name, (description, kind, metric) in self._metrics.items():
            lines += (f"# HELP {name} {description}", f"# TYPE {name} {kind}", *metric.lines(name))
        return "\n".join([*lines, ""])
