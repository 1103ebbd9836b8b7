"""What is measured for an operator's alerts."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fingerprint.domain.identification import Kind
from server.observability import Metrics
from server.vitals import BACKUP_RECORD, measure_lag, record_backup, room_of, sound_age
from tests.builders import NOON, identification
from tests.fakes import FakeClock


def test_the_age_of_the_newest_sound_is_of_live_answers_alone() -> None:
    live = replace(
        identification(kind=Kind.STREAM),
        captured_at=NOON,
        captured_seconds=6.0,
        finished_at=NOON + timedelta(seconds=10),
    )
    assert sound_age(live) == 4.0
    assert sound_age(replace(live, finished_at=NOON + timedelta(seconds=1))) == 0.0
    others = (
        replace(live, kind=Kind.CLIP),
        replace(live, asked_at=NOON),
        replace(live, captured_at=None),
        replace(live, captured_seconds=None),
        replace(live, finished_at=None),
    )
    assert [sound_age(other) for other in others] == [None] * 5


def test_the_newest_backup_is_remembered(tmp_path: Path) -> None:
    assert room_of(tmp_path).backup_at == 0
    record_backup(tmp_path, NOON)
    record_backup(tmp_path, NOON + timedelta(hours=1))
    room = room_of(tmp_path)
    assert room.backup_at == (NOON + timedelta(hours=1)).timestamp()
    assert 0 < room.free <= room.size
    assert [path.name for path in tmp_path.iterdir()] == [BACKUP_RECORD]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"made_at": 3}', '{"made_at": "yesterday"}', "\0"])
def test_a_record_that_cannot_be_read_is_no_backup(tmp_path: Path, content: str) -> None:
    (tmp_path / BACKUP_RECORD).write_text(content, encoding="utf-8")
    assert room_of(tmp_path).backup_at == 0


def test_a_data_folder_that_is_not_made_yet_has_the_room_of_its_disk(tmp_path: Path) -> None:
    assert room_of(tmp_path / "not" / "yet").size == room_of(tmp_path).size


async def test_the_lag_of_the_loop_is_how_late_what_was_due_ran() -> None:
    clock, metrics = FakeClock(), Metrics()
    lag = metrics.histogram("lag", "Lag.", (0.1, 1.0))
    task = asyncio.create_task(measure_lag(clock, lag))
    await asyncio.sleep(0)
    await clock.advance(0.5)
    await clock.advance(1.25)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    text = metrics.render()
    assert 'lag_bucket{le="0.1"} 1' in text
    assert json.loads(text.partition("lag_sum ")[2].partition("\n")[0]) == pytest.approx(0.75)
