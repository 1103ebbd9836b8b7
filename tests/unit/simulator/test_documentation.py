"""docs/simulator.md names every switch and every fault, and no others."""

import dataclasses
import re
from pathlib import Path

import pytest

from simulator.browser_demands import TABLE as DEMANDS
from simulator.channel_switches import ChannelSwitches
from simulator.clip import ClipSwitches
from simulator.faults import TRAITS, FaultKind, Step
from simulator.usher_parameters import TABLE
from simulator.video import VideoSwitches

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def named(heading: str) -> set[str]:
    """The words in backticks of the first column of the table with this first heading."""
    table = re.search(rf"^\| {heading} \|.*\n\| ---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    cells = [row.split("|")[1] for row in table[1].splitlines()]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize(
    ("heading", "switches"), [("channel", ChannelSwitches), ("clip", ClipSwitches), ("VOD", VideoSwitches)]
)
def test_switches(heading: str, switches: type[ChannelSwitches | ClipSwitches | VideoSwitches]) -> None:
    assert named(heading) == {item.name for item in dataclasses.fields(switches)}


def test_ushers_parameters() -> None:
    for parameter in TABLE:
        assert f"| `{parameter.name}` | {parameter.effect} | {parameter.source} |\n" in PAGE
    assert named("parameter of usher") == {parameter.name for parameter in TABLE}


def test_demands() -> None:
    for demand in DEMANDS:
        assert f"| `{demand.name}` | {demand.effect} | {demand.source} |\n" in PAGE


def test_traits_of_requests() -> None:
    for trait in (*TRAITS[Step.GQL], *TRAITS[Step.USHER]):
        assert f"`{trait}`" in PAGE


def test_faults() -> None:
    assert named("step") == set(Step)
    assert named("kind") == set(FaultKind)
