"""Logs are one JSON object a line; metrics are bounded Prometheus text."""

import json
import logging
from math import inf, nan

import pytest
from aiohttp.http_exceptions import BadStatusLine
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from server.observability import SERIES_LIMIT, FewOfEach, JsonFormatter, Metrics, ShortBadRequests


def line(event: str, **fields: object) -> str:
    record = logging.LogRecord("test", logging.INFO, __file__, 1, event, (), None)
    vars(record).update(fields)
    return JsonFormatter().format(record)


@given(st.text(), st.text(alphabet="\r\n\x1b\u2028\x85\x00\ud800a"))
def test_no_text_starts_a_line_of_its_own(event: str, value: str) -> None:
    formatted = line(event, path=value)
    assert len(formatted.splitlines()) == 1
    assert json.loads(formatted)["path"] == value


def test_fields_and_traces_are_part_of_the_object_and_bounded() -> None:
    error = ValueError("x" * 100_000)
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, "broke", (), (ValueError, error, None))
    formatted = JsonFormatter().format(record)
    assert json.loads(formatted)["level"] == "error"
    assert "ValueError" in json.loads(formatted)["exception"]
    assert len(formatted) < 10_000
    assert json.loads(line("x", bytes=5))["bytes"] == 5


def test_c2_a_malformed_request_is_logged_in_a_few_bytes() -> None:
    error = BadStatusLine("\x00" * 5_000)
    record = logging.LogRecord(
        "aiohttp.server", logging.ERROR, __file__, 1, "Error from %s", ("1.2.3.4",), (BadStatusLine, error, None)
    )
    assert ShortBadRequests().filter(record)
    assert len(JsonFormatter().format(record)) <= 300


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    metrics.counter("asked_total", "Asked.", "kind").add('a"b\n')
    metrics.gauge("now", "Now.", lambda: 3)
    seconds = metrics.histogram("seconds", "Seconds.", (0.1, 1), "route")
    for value in (0.05, 0.1, 0.5, 5):
        seconds.observe(value, "/x")
    assert metrics.render() == (
        "# HELP asked_total Asked.\n# TYPE asked_total counter\n"
        'asked_total{kind="a\\"b\\n"} 1\n'
        "# HELP now Now.\n# TYPE now gauge\nnow 3\n"
        "# HELP seconds Seconds.\n# TYPE seconds histogram\n"
        'seconds_bucket{route="/x",le="0.1"} 2\nseconds_bucket{route="/x",le="1"} 3\n'
        'seconds_bucket{route="/x",le="+Inf"} 4\nseconds_sum{route="/x"} 5.65\nseconds_count{route="/x"} 4\n'
    )


@pytest.mark.parametrize(
    "value", [0, 1, 999_999, 12_345_678, 2**53 + 1, 2**63, 0.1, 1 / 3, 1e-9, 12_345_678.901, 1e300, inf, -inf, nan]
)
def test_metrics_are_exact_for_prometheus_own_parser(value: float) -> None:
    metrics = Metrics()
    metrics.counter("asked_total", "Asked.").add(amount=value)
    metrics.gauge("now", "Now.", lambda: value)
    metrics.histogram("seconds", "Seconds.", (1.0,)).observe(value)
    families = text_string_to_metric_families(metrics.render())
    said = {sample.name: sample.value for family in families for sample in family.samples}
    for name in ("asked_total", "now", "seconds_sum"):
        assert said[name] == pytest.approx(float(value), abs=0, rel=0, nan_ok=True)


def test_millions_are_counted_one_by_one() -> None:
    metrics = Metrics()
    counter = metrics.counter("asked_total", "Asked.")
    counter.add(amount=12_345_678)
    counter.add()
    assert "asked_total 12345679" in metrics.render().splitlines()


def test_l8_series_are_bounded() -> None:
    metrics = Metrics()
    counter = metrics.counter("asked_total", "Asked.", "name")
    for number in range(SERIES_LIMIT * 3):
        counter.add(str(number))
    lines = metrics.render().splitlines()
    assert len(lines) <= SERIES_LIMIT + 3
    assert f'asked_total{{name="other"}} {2 * SERIES_LIMIT}' in lines


def test_an_event_that_clients_cause_without_end_fills_no_disk() -> None:
    now, passed = 0.0, list[logging.LogRecord]()
    few = FewOfEach(lambda: now)
    error = OSError(24, "Too many open files")
    for _ in range(5_000):
        record = logging.LogRecord(
            "asyncio", logging.ERROR, "", 0, "socket.accept() out of system resource", (), None
        )
        record.exc_info = (OSError, error, None)
        if ShortBadRequests().filter(record) and few.filter(record):
            passed.append(record)
    assert len(passed) == 20
    assert {len(JsonFormatter().format(record)) < 200 for record in passed} == {True}
    assert {record.getMessage() for record in passed} == {"connection_not_accepted"}
    now = 10.0
    again = logging.LogRecord("asyncio", logging.ERROR, "", 0, "connection_not_accepted", (), None)
    assert few.filter(again)
    assert vars(again)["skipped_before"] == 4_980
    # What is not among those is never left out.
    other = logging.LogRecord("server.identifications.jobs", logging.INFO, "", 0, "job_ended", (), None)
    assert all(few.filter(other) for _ in range(100))
