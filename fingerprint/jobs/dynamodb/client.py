"""The DynamoDB client: time limits, translated errors, and reads and conditional writes of one table."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.settings import SettingsError

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

Item = dict[str, Any]
"""An item as DynamoDB writes it: `{"Id": {"S": "..."}}`."""

READ_SECONDS: Final = 2.0
"""The time limit of an answer; a connection may take half of it."""

CALL_SECONDS: Final = 3.0
"""The time limit of one call, retries included."""

TIME_SECONDS: Final = 8.0
"""The limit of asking DynamoDB for its time, which no job waits for."""

ATTEMPTS: Final = 3
CONNECTIONS: Final = 50
EMULATED_REGION: Final = "us-east-1"
"""The region when an endpoint is set and no region is: emulators have none."""

THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied"})
"""Credentials that are known, and may not do this."""

EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})

_NAME: Final = re.compile(r"#(\w+)")

_log = logging.getLogger(__name__)


def error_code(error: ClientError) -> str:
    """DynamoDB's code for an error, such as `ConditionalCheckFailedException`."""
    return error.response.get("Error", {}).get("Code", "")


@asynccontextmanager
async def translated(seconds: float = CALL_SECONDS) -> AsyncGenerator[None]:
    """Turn every error of the client into `busy` for the caller, and into a log entry for the operator."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (BotoCoreError, ClientError, TimeoutError, OSError) as error:
        code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
        _log.error("dynamodb_failed", extra={"code": code, "error": str(error)[:500]})
        raise _busy(error, code) from error


def _busy(error: Exception, code: str) -> TwitchAudioError:
    if code == "ResourceNotFoundException":
        detail = "A table of our job store is missing: `twitchaudio db upgrade` makes it."
    elif code in THROTTLED:
        detail = "Too much is going on in our job store. Try again in a moment."
        return TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=2.0)
    elif code in ("NoCredentialsError", "PartialCredentialsError", "UnrecognizedClientException"):
        detail = "Our job store does not know us: the server's AWS credentials are missing or wrong."
    elif code in EXPIRED:
        detail = "Our job store does not know us any more: the server's AWS credentials have expired."
    elif code in DENIED:
        detail = "Our job store refuses us: the policy of the server's AWS role does not permit what it does."
    else:
        detail = "Our job store does not answer. Try again in a moment."
    return TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)


def region_of(session: AioSession, endpoint: str | None, what: str) -> str:
    """The region in the usual AWS variables. Raises SettingsError when AWS itself is used without one."""
    region: str | None = session.get_config_variable("region")
    if region is None and endpoint is None:
        raise SettingsError("AWS_DEFAULT_REGION", "", f"the AWS region of {what}")
    return region or EMULATED_REGION


@asynccontextmanager
async def open_client(
    endpoint: str | None, *, read_seconds: float = READ_SECONDS
) -> "AsyncGenerator[DynamoDBClient]":
    """A client for an endpoint, or for AWS itself; credentials and region come from the usual AWS variables.

    An answer may take `read_seconds`, a connection half of that. Raises SettingsError when there is no region.
    """
    session = get_session()
    config = AioConfig(
        connect_timeout=read_seconds / 2,
        read_timeout=read_seconds,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    async with session.create_client(
        "dynamodb",
        region_name=region_of(session, endpoint, "the DynamoDB tables"),
        endpoint_url=endpoint,
        config=config,
    ) as client:
        yield client


async def service_time(endpoint: str | None) -> datetime | None:
    """DynamoDB's own time, in whole seconds, which its refusals say, too; None when it does not answer.

    Raises SettingsError when there is no region.
    """
    async with open_client(endpoint, read_seconds=TIME_SECONDS) as client:
        try:
            async with asyncio.timeout(TIME_SECONDS):
                metadata = (await client.list_tables(Limit=1))["ResponseMetadata"]
        except ClientError as error:
            metadata = error.response.get("ResponseMetadata", {})
        except (BotoCoreError, TimeoutError, OSError):
            return None
    said = metadata.get("HTTPHeaders", {}).get("date", "")
    with contextlib.suppress(ValueError):
        return parsedate_to_datetime(said)
    return None


class JobTable:
    """One DynamoDB table, with strongly consistent reads. Expressions use `#Name` and `:name` as placeholders."""

    def __init__(self, client: "DynamoDBClient", name: str, *, call_seconds: float = CALL_SECONDS) -> None:
        self._client = client
        self._seconds = call_seconds
        self.name = name

    async def get(self, key: str) -> Item | None:
        async with translated(self._seconds):
            found = await self._client.get_item(TableName=self.name, Key={"Id": {"S": key}}, ConsistentRead=True)
        item: Item | None = found.get("Item")
        return item

    async def update(self, key: str, change: str, *, when: str, values: Mapping[str, Any]) -> Item | None:
        """The item after the change; None when the condition `when` does not hold, and then nothing changes.

        The client repeats requests that were not answered, so None may also mean that the first try took effect: a
        caller that must know reads the item. Raises TwitchAudioError `busy`.
        """
        names = {f"#{name}": name for name in _NAME.findall(f"{change} {when}")}
        async with translated(self._seconds):
            try:
                result = await self._client.update_item(
                    TableName=self.name,
                    Key={"Id": {"S": key}},
                    UpdateExpression=change,
                    ConditionExpression=when,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return None
        item: Item | None = result.get("Attributes")
        return item

    async def newest(
        self, index: str, condition: str, *, only: str, values: Mapping[str, Any], limit: int
    ) -> list[Item]:
        """At most `limit` items of an index that satisfy `only`, newest first. Indexes lag behind writes."""
        names = {f"#{name}": name for name in _NAME.findall(f"{condition} {only}")}
        found: list[Item] = []
        more: dict[str, Any] = {}
        while len(found) < limit:
            async with translated(self._seconds):
                page = await self._client.query(
                    TableName=self.name,
                    IndexName=index,
                    KeyConditionExpression=condition,
                    FilterExpression=only,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ScanIndexForward=False,
                    Limit=limit,
                    **more,
                )
            found += page.get("Items", [])
            if "LastEvaluatedKey" not in page:
                break
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        return found[:limit]

    async def scan(self, only: str, *, values: Mapping[str, Any], members: str = "") -> AsyncGenerator[list[Item]]:
        """All items that satisfy `only`, page by page: the whole table is read, so this is for rare work.

        `members`: the attributes wanted, as placeholders; all by default.
        """
        names = {f"#{name}": name for name in _NAME.findall(f"{only} {members}")}
        more: dict[str, Any] = {"ProjectionExpression": members} if members else {}
        while True:
            async with translated(self._seconds):
                page = await self._client.scan(
                    TableName=self.name,
                    FilterExpression=only,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ConsistentRead=True,
                    **more,
                )
            yield page.get("Items", [])
            if "LastEvaluatedKey" not in page:
                return
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def delete(self, key: str, *, when: str = "", values: Mapping[str, Any] | None = None) -> None:
        """Delete an item, if it is there and the condition `when` holds. Raises TwitchAudioError `busy`."""
        condition: dict[str, Any] = {}
        if when:
            names = {f"#{name}": name for name in _NAME.findall(when)}
            condition = {"ConditionExpression": when, "ExpressionAttributeNames": names}
        if values:
            condition["ExpressionAttributeValues"] = values
        async with translated(self._seconds):
            try:
                await self._client.delete_item(TableName=self.name, Key={"Id": {"S": key}}, **condition)
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise

    async def check(self) -> None:
        """Raise TwitchAudioError `busy`, with advice for the operator, when the table cannot be used.

        The write changes nothing, since its condition never holds; the table refuses it when it takes no writes.
        """
        async with translated(self._seconds):
            await self._client.describe_table(TableName=self.name)
        never = "attribute_exists(#Id) AND attribute_not_exists(#Id)"
        await self.update("readiness", "SET #Status = :never", when=never, values={":never": {"S": "never"}})
