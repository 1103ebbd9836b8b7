"""An evening of music in a database, as if it had been asked for while it played."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import insert

from fingerprint.database import Database, identifications, to_us
from fingerprint.domain.identification import ExternalIds, Identification, Song, Stage, Status
from fingerprint.jobs.clean import clean
from fingerprint.wire import to_json
from tests.builders import identification, song

EVENING = (
    ("Basement Weather", "Kilo Parade", "Concrete Gardens"),
    ("Neon Harbour Drive", "Vela Coast", "Chrome Tides"),
    ("Paper Moons", "Otter & Ash", None),
    ("Northbound", "The Lantern Keepers", "Signal Fires"),
    ("Velvet Static", "Mira Sol", "Afterimages"),
    ("Low Tide", "Kilo Parade", "Concrete Gardens"),
    ("Glass Elevator", "Junip & the Machines", None),
    ("Slow Bloom", "Mira Sol", "Afterimages"),
)


def evening_songs() -> list[Song]:
    """Songs with and without links, albums and lengths."""
    return [
        song(
            title,
            artist,
            album=album,
            duration_seconds=180.0 + 11 * number,
            ids=ExternalIds(
                spotify_track="4uLU6hMCjMI75M1A2tKUQC" if number % 2 == 0 else None,
                youtube="dQw4w9WgXcQ" if number % 3 == 0 else None,
                deezer_track="3135556" if number % 4 == 0 else None,
            ),
        )
        for number, (title, artist, album) in enumerate(EVENING)
    ]


async def seed_evening(
    database: Database, login: str, ends: datetime, songs: list[Song] | None = None, *, minutes: float = 4.0
) -> None:
    """Each song is asked for three times, a minute apart; the last one just before `ends`."""
    played = evening_songs() if songs is None else songs
    answers: list[Identification] = []
    for number, each in enumerate(played):
        for time in range(3):
            moment = ends - timedelta(minutes=minutes * (len(played) - number) - 1 - time)
            answers.append(
                identification(
                    id=f"{login}-{to_us(ends)}-{number}-{time}",
                    target=login,
                    status=Status.SUCCESSFUL,
                    stage=Stage.DONE,
                    created_at=moment,
                    finished_at=moment + timedelta(seconds=1),
                    captured_at=moment,
                    song=each,
                    songs=(each,),
                    score=0.9,
                    recognizer="catalog",
                )
            )
    await seed_answers(database, answers)


async def seed_answers(database: Database, answers: Iterable[Identification]) -> None:
    """Answers as if they had been asked for, each with its own id and the moment when it was made."""
    rows: list[dict[str, object]] = [
        {
            "id": answer.id,
            "target_key": f"{answer.kind}:{answer.target}",
            "kind": str(answer.kind),
            "target": answer.target,
            "status": str(answer.status),
            "stage": str(answer.stage),
            "fence": 1,
            "created_us": to_us(answer.created_at),
            "finished_us": None if answer.finished_at is None else to_us(answer.created_at),
            "body": json.dumps(to_json(answer)),
        }
        for answer in map(clean, answers)
    ]
    await database.transact(lambda connection: connection.execute(insert(identifications), rows).rowcount)
