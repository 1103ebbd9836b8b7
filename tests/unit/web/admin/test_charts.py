"""The geometry of the desk's charts, and what they show."""

from datetime import date, timedelta

from server.web.admin.charts import HEIGHT, WIDTH, days_until, stacked
from server.web.admin.overview import DAYS, charts

TODAY = date(2026, 3, 1)


def test_the_highest_stack_fills_the_height_and_others_are_in_proportion() -> None:
    days = days_until(TODAY, 2)
    assert days == [TODAY - timedelta(days=1), TODAY]
    chart = stacked("T", "", ("a", "b"), days, {(days[0], "a"): 3, (days[0], "b"): 1, (days[1], "a"): 2})
    assert [(bar.series, bar.y, bar.height) for bar in chart.bars] == [
        (0, HEIGHT / 4, HEIGHT * 3 / 4),
        (1, 0, HEIGHT / 4),
        (0, HEIGHT / 2, HEIGHT / 2),
    ]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in chart.bars)
    assert chart.highest == 4


def test_days_without_anything_draw_nothing() -> None:
    chart = stacked("T", "", ("a",), days_until(TODAY, 30), {})
    assert chart.empty
    assert len(chart.days) == 30


def test_the_overview_charts_outcomes_refusals_and_the_median_answer_time() -> None:
    figures = {
        (TODAY, "answer successful"): 5,
        (TODAY, "answer failed"): 1,
        (TODAY - timedelta(days=DAYS), "answer failed"): 100,
        (TODAY, "refusal busy"): 1,
        (TODAY, "refusal rate-limited"): 7,
        (TODAY, "refusal blacklisted"): 2,
        (TODAY, "refusal login-required"): 1,
        (TODAY, "latency 300"): 4,
    }
    outcomes, refusals, latency = charts(figures, TODAY)
    assert outcomes.days[-1].values == (5, 0, 1)
    assert outcomes.highest == 6
    assert refusals.names == ("rate-limited", "blacklisted", "other")
    assert refusals.days[-1].values == (7, 2, 2)
    assert latency.days[-1].values == (250,)
