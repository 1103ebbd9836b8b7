"""Plays that are hidden or corrected, with the answers in each job store: what is decided is always in SQL."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fingerprint.database import Database
from fingerprint.domain.identification import Stage, Status
from fingerprint.domain.targets import ChannelTarget
from fingerprint.job_ports import Claimed, JobStore
from server.audit.changes import ChangeLog
from server.channel_names import ChannelNames
from server.channels.play_corrections import PlayCorrections
from server.identifications.history import ChannelHistory
from server.identifications.limits import ServiceLimits
from server.owner_choices.service import OwnerChoices
from server.songs.store import SongStore
from tests.builders import NOON, song
from tests.contract.test_job_store import ADAPTERS
from tests.databases import migrated_database
from tests.fakes import FakeClock

SLOW = ("moto", "ministack")
"""The other DynamoDB is asked in each run."""


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.nightly] if name in SLOW else []) for name in ADAPTERS]
)
async def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[JobStore]:
    async with ADAPTERS[request.param](tmp_path, request)() as store:
        yield store


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with migrated_database(f"sqlite:///{tmp_path / 'choices.sqlite3'}") as opened:
        yield opened


async def hear(jobs: JobStore, title: str, minutes: int) -> str:
    now = NOON + timedelta(minutes=minutes)
    claim = await jobs.claim(ChannelTarget("somechannel"), owner="a", now=now, lease_seconds=5)
    assert isinstance(claim, Claimed)
    answer = replace(
        claim.identification,
        status=Status.SUCCESSFUL,
        stage=Stage.DONE,
        song=song(title),
        songs=(song(title),),
        score=0.9,
        finished_at=now,
    )
    assert await jobs.finish(claim.lease, answer)
    return str(answer.id)


async def test_a_play_is_hidden_and_another_corrected(jobs: JobStore, database: Database) -> None:
    heard = [await hear(jobs, title, 5 * number) for number, title in enumerate(("Dawn", "Dusk", "Dawn", "Sand"))]
    clock = FakeClock()
    names = ChannelNames(database, None, clock=clock)
    async with OwnerChoices(database, names, clock=clock) as choices:
        history = ChannelHistory(jobs, names=names, choices=choices, limits=ServiceLimits())
        plays = PlayCorrections(
            database, history, choices, SongStore(database), clock=clock, on_changed=lambda _login: None
        )
        await plays.hide("somechannel", heard[2], made_by="operator", changes=ChangeLog())
        await plays.correct(
            "somechannel", heard[1], title="Quay", artists=None, made_by="operator", changes=ChangeLog()
        )
        page = await history.set_list("somechannel", limit=10)
        assert [play.song.title for play in page.plays] == ["Sand", "Quay", "Dawn"]
        newest = await history.recent_answers("somechannel", limit=2)
        assert [answer.song and answer.song.title for answer in newest] == ["Sand", "Quay"]
        for correction in await plays.all("somechannel"):
            await plays.undo("somechannel", correction.id, changes=ChangeLog())
        page = await history.set_list("somechannel", limit=10)
        assert [play.song.title for play in page.plays] == ["Sand", "Dawn", "Dusk", "Dawn"]
