"""Segments between stitched ads: checked against walking from the first segment, with Hypothesis."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from simulator.timeline import Pod, add_pod, pieces

GRID = 20


@st.composite
def breaks(draw: st.DrawFn) -> tuple[Pod, ...]:
    found: tuple[Pod, ...] = ()
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, 600))
        found = add_pod(found, Pod(start, start + draw(st.integers(1, 90))))
    return found


@given(breaks(), st.integers(0, 800), st.integers(0, 200))
def test_any_window_is_part_of_the_whole_broadcast(pods: tuple[Pod, ...], start: int, length: int) -> None:
    whole = pieces(0, start + length, grid=GRID, pods=pods)
    window = pieces(start, start + length, grid=GRID, pods=pods)
    assert window == [piece for piece in whole if piece.end > start]


@given(breaks())
def test_pieces_join_and_are_numbered_without_gaps(pods: tuple[Pod, ...]) -> None:
    whole = pieces(0, 1000, grid=GRID, pods=pods)
    assert [piece.sequence for piece in whole] == list(range(len(whole)))
    assert whole[0].start == 0
    for before, after in pairwise(whole):
        assert before.end == after.start
    assert all(0 < piece.end - piece.start <= GRID for piece in whole)


@given(breaks())
def test_ads_fill_their_breaks_exactly(pods: tuple[Pod, ...]) -> None:
    whole = pieces(0, 1000, grid=GRID, pods=pods)
    for pod in pods:
        inside = [piece for piece in whole if piece.pod == pod]
        assert (inside[0].start, inside[-1].end) == (pod.start, pod.end)
        assert all(piece.end - piece.start == GRID for piece in inside[:-1])


def test_the_last_ad_is_trimmed_and_content_is_cut_anew() -> None:
    found = pieces(0, 100, grid=GRID, pods=(Pod(20, 55),))
    assert [(piece.start, piece.end, piece.pod is not None) for piece in found] == [
        (0, 20, False),
        (20, 40, True),
        (40, 55, True),
        (55, 60, False),
        (60, 80, False),
        (80, 100, False),
    ]


def test_unfinished_segments_are_not_listed() -> None:
    assert [piece.end for piece in pieces(0, 59, grid=GRID, pods=())] == [20, 40]


def test_a_break_takes_the_place_of_those_that_it_overlaps() -> None:
    pods = add_pod(add_pod((), Pod(0, 30)), Pod(100, 130))
    assert add_pod(pods, Pod(20, 50)) == (Pod(20, 50), Pod(100, 130))


def test_old_breaks_are_forgotten() -> None:
    pods: tuple[Pod, ...] = ()
    for number in range(100):
        pods = add_pod(pods, Pod(number * 10, number * 10 + 5))
    assert len(pods) == 64
    assert pods[-1].start == 990
