"""Dates that jump: which of them can be true."""

from datetime import UTC, datetime, timedelta

import pytest

from fingerprint.hls.dates import with_true_dates
from fingerprint.hls.playlist import parse_media

START = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)


def starts(
    ahead: list[float],
    *,
    server: float | None = None,
    breaks: frozenset[int] = frozenset(),
    listed: float = 2.0,
    elapsed: float | None = None,
) -> list[float]:
    """Where segments of 2 s are put, in seconds; `ahead`: of each, how far its date is ahead of its place.

    `listed`: how long the playlist says that they are. `elapsed`: how long the broadcast had run then; it began
    1,000 s before the first.
    """
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2"]
    if elapsed is not None:
        lines.append(f"#EXT-X-TWITCH-ELAPSED-SECS:{elapsed:.3f}")
    if server is not None:
        clock = START.timestamp() + server
        lines.append(
            f'#EXT-X-DATERANGE:ID="t",CLASS="timestamp",START-DATE="{START.isoformat()}",X-SERVER-TIME="{clock}"'
        )
    for number, seconds in enumerate(ahead):
        lines += ["#EXT-X-DISCONTINUITY"] if number in breaks else []
        date = START + timedelta(seconds=2 * number + seconds)
        lines += [f"#EXT-X-PROGRAM-DATE-TIME:{date.isoformat()}", f"#EXTINF:{listed:.3f},live", f"{number}.ts"]
    began = START - timedelta(seconds=1_000.0)
    playlist = with_true_dates(parse_media("\n".join(lines)), began=began)
    return [(each.started_at - START).total_seconds() for each in playlist.segments if each.started_at]


TRUE = [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


@pytest.mark.parametrize("server", [None, 12.5])
def test_what_does_not_jump_stays(server: float | None) -> None:
    assert starts([0.0] * 6, server=server) == TRUE
    drifting = [0.3 * number for number in range(6)]
    assert starts(drifting, server=server) == pytest.approx([2.3 * number for number in range(6)])


def test_a_jump_beyond_the_servers_clock_is_taken_back() -> None:
    for ahead in ([0, 0, 60, 60, 0, 0], [0, 0, 0, 0, 0, 3_600], [60, 60, 0, 0, 0, 0], [60, 0, 60, 0, 60, 0]):
        assert starts([float(each) for each in ahead], server=12.5) == TRUE


def test_a_jump_back_is_taken_back() -> None:
    assert starts([0.0, 0.0, 0.0, -60.0, -60.0, -60.0], server=12.5) == TRUE
    assert starts([0.0, 0.0, 0.0, -60.0, -60.0, -60.0]) == TRUE


@pytest.mark.parametrize(
    "ahead", [[0, 0, 2, 2, 0, 0], [2, 0, 2, 0, 2, 0], [0, 0, 0, 0, 3, 0], [1.5, 1.5, 0, 0, 1.5, 1.5]]
)
def test_of_dates_that_jump_to_and_fro_those_ahead_of_the_servers_clock_are_wrong(ahead: list[float]) -> None:
    assert starts(ahead, server=12.3) == TRUE


@pytest.mark.parametrize("listed", [1.5, 1.6, 2.4, 2.9])
@pytest.mark.parametrize(
    "ahead", [[0, 47, 0, 47, 0, 47], [0, 0, 0, 47, 47, 0], [0, 0, 2, 2, 0, 0], [0, 0, 0, -9, -9, -9]]
)
def test_dates_that_jump_among_durations_that_are_wrong(ahead: list[float], listed: float) -> None:
    assert starts(ahead, server=12.3, listed=listed) == pytest.approx(TRUE)


def test_durations_that_are_wrong_are_no_jumps() -> None:
    for listed in (1.3, 1.6, 2.4, 3.2):
        assert starts([0.0] * 6, server=12.3, listed=listed) == TRUE


@pytest.mark.parametrize(
    "ahead", [[0, 0, 1, 1, 0, 0], [1, 0, 1, 0, 1, 0], [1.5, 1.5, 1.5, 0, 0, 1.5], [0, 0, -2, -2, 0, 0]]
)
def test_of_dates_that_jump_to_and_fro_those_that_fit_the_broadcast_are_right(ahead: list[float]) -> None:
    assert starts(ahead, server=15.0, elapsed=1_000.1) == TRUE
    # A broadcast that seems to have begun at another time tells nothing: the later ones are taken.
    latest = max(ahead)
    for elapsed in (1_000.6, 990.0, 1_060.0, None):
        assert starts(ahead, server=15.0, elapsed=elapsed)[-1] == pytest.approx(TRUE[-1] + latest)


def test_where_the_servers_clock_is_slow_the_later_ones_of_dates_that_jump_are_right() -> None:
    assert starts([-3.0, -3.0, 0.0, 0.0, -3.0, -3.0], server=12.3) == [-3.0, -1.0, *TRUE[2:]]
    assert starts([0.0, 2.0, 0.0, 2.0], server=5.0) == [0.0, 4.0, 6.0, 8.0]


def test_a_pause_of_the_broadcast_stays() -> None:
    paused = [0.0, 2.0, 4.0, 36.0, 38.0, 40.0]
    assert starts([0.0, 0.0, 0.0, 30.0, 30.0, 30.0], server=42.5) == paused
    assert starts([0.0, 0.0, 0.0, 30.0, 30.0, 30.0]) == paused


def test_a_jump_back_at_a_discontinuity_stays() -> None:
    assert starts([0.0, 0.0, -60.0, -60.0], breaks=frozenset({2})) == [0.0, 2.0, -56.0, -54.0]


def test_where_no_date_can_be_true_all_stay() -> None:
    """The server's clock may as well be wrong, and ads are told by dates."""
    assert starts([0.0, 0.0, 30.0], server=-100.0) == [0.0, 2.0, 34.0]
