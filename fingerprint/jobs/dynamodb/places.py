"""The two tables, and which of them a job and a seat are in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fingerprint.domain.identification import IdentificationId, Kind, new_identification_id
from fingerprint.jobs.dynamodb.client import JobTable
from fingerprint.jobs.dynamodb.items import SEAT
from fingerprint.jobs.dynamodb.tables import TableNames

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

_STREAM: Final = "s-"
_CLIP: Final = "c-"
_STREAM_SEAT: Final = f"{SEAT}{Kind.STREAM}:"
_KEY_BYTES: Final = 1024


class JobTables:
    """The tables of live streams, and of clips and videos."""

    def __init__(self, client: "DynamoDBClient", names: TableNames, *, call_seconds: float) -> None:
        self.streams = JobTable(client, names.streams, call_seconds=call_seconds)
        self.clips = JobTable(client, names.clips, call_seconds=call_seconds)

    def of_kind(self, kind: Kind) -> tuple[JobTable, Kind]:
        """The table of a kind of target, and the kind that its items have unless they say another."""
        return (self.streams, Kind.STREAM) if kind is Kind.STREAM else (self.clips, Kind.CLIP)

    def of_seat(self, key: str) -> JobTable:
        """The table of a seat, by its `Id`."""
        return self.streams if key.startswith(_STREAM_SEAT) else self.clips

    def of_job(self, identification_id: str) -> Sequence[tuple[JobTable, Kind]]:
        """The tables where a job may be, the likeliest first."""
        try:
            known = 0 < len(identification_id.encode()) <= _KEY_BYTES
        except UnicodeEncodeError:
            known = False
        if not known or identification_id.startswith(SEAT):
            return ()
        places = ((self.streams, Kind.STREAM), (self.clips, Kind.CLIP))
        return places[::-1] if identification_id.startswith(_CLIP) else places

    async def check(self) -> None:
        """Raises TwitchAudioError `busy` while either is out of reach."""
        await self.streams.check()
        await self.clips.check()


def new_job_id(kind: Kind) -> IdentificationId:
    """An id by which `of_job` finds the job at once."""
    return IdentificationId((_STREAM if kind is Kind.STREAM else _CLIP) + new_identification_id())
