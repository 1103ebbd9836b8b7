"""The two tables, as `twitchaudio db upgrade` creates them; a test compares the deployment template.

Both have the key `Id`. An item is either a job, with the attributes that the original service wrote and some more
(`items.job_item`), or a seat: which server may work on a target (`items.Seat`), under an `Id` that begins with
`target#`.

`ByChannel` lists a channel's jobs newest first: the one that runs and those before it. It does not hold stage and
fencing token, so that most writes of a running job are not written twice. There is no index by clip: a clip's seat
holds its answer, and its id is made of the slug.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from fingerprint.jobs.dynamodb.client import DENIED, error_code, translated

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

BY_CHANNEL: Final = "ByChannel"
TTL_ATTRIBUTE: Final = "ExpiresAt"
PROJECTED: Final = (
    "Status",
    "Title",
    "Album",
    "Artists",
    "Label",
    "SpotifyTrackingId",
    "SpotifyArtistsId",
    "YouTubeId",
    "DeezerTrackId",
    "DeezerArtistsIds",
    "Answer",
    "FinishedAt",
    TTL_ATTRIBUTE,
)
"""The attributes in the index `ByChannel` besides the keys."""

_ACTIVE_SECONDS: Final = 120.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names of the two tables."""

    streams: str
    clips: str


def table_definitions(names: TableNames) -> Sequence[dict[str, Any]]:
    """The arguments of CreateTable for each table."""
    key = [{"AttributeName": "Id", "KeyType": "HASH"}]
    streams: dict[str, Any] = {
        "TableName": names.streams,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": key,
        "AttributeDefinitions": [
            {"AttributeName": "Id", "AttributeType": "S"},
            {"AttributeName": "ChannelId", "AttributeType": "S"},
            {"AttributeName": "CreatedAt", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": BY_CHANNEL,
                "KeySchema": [
                    {"AttributeName": "ChannelId", "KeyType": "HASH"},
                    {"AttributeName": "CreatedAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(PROJECTED)},
            }
        ],
    }
    clips: dict[str, Any] = {
        "TableName": names.clips,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": key,
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
    }
    return streams, clips


async def create_tables(client: "DynamoDBClient", names: TableNames) -> list[str]:
    """Create the tables that are missing, wait until they can be used, and return their names.

    Existing tables stay as they are, except that expiry by `ExpiresAt` is switched on where that is permitted: a
    server under the deployment template's policy may look at its tables, and make and change none. Raises
    TwitchAudioError `busy`.
    """
    made: list[str] = []
    for definition in table_definitions(names):
        name: str = definition["TableName"]
        async with translated(_ACTIVE_SECONDS):
            if not await _exists(client, name):
                try:
                    await client.create_table(**definition)
                except ClientError as error:
                    if error_code(error) != "ResourceInUseException":
                        raise
                else:
                    made.append(name)
            await _until_active(client, name)
            await _expire(client, name)
    return made


async def _exists(client: "DynamoDBClient", name: str) -> bool:
    try:
        await client.describe_table(TableName=name)
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return False
    return True


async def _until_active(client: "DynamoDBClient", name: str) -> None:
    pause = 0.02
    while True:
        described = await client.describe_table(TableName=name)
        if described["Table"].get("TableStatus") == "ACTIVE":
            return
        await asyncio.sleep(pause)
        pause = min(1.0, 2 * pause)


async def _expire(client: "DynamoDBClient", name: str) -> None:
    """Switch on expiry by DynamoDB. Not every emulator supports it, so readers check the expiry themselves."""
    try:
        state = (await client.describe_time_to_live(TableName=name)).get("TimeToLiveDescription", {})
        if state.get("TimeToLiveStatus") in (None, "DISABLED"):
            wanted: Any = {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
            with contextlib.suppress(client.exceptions.ResourceInUseException):
                await client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)
    except ClientError as error:
        if error_code(error) in DENIED:
            return  # it is for the template that made the table
        if error_code(error) not in ("UnknownOperationException", "ValidationException"):
            raise
        _log.warning("expiry_not_switched_on", extra={"table": name, "error": str(error)[:300]})
