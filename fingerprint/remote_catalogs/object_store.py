"""The objects of one catalog, or backups, in Amazon S3, or in a service with the same interface."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from fingerprint.catalog.manifest import MANIFEST_NAME
from fingerprint.catalog.problems import CatalogError, ChangedElsewhereError
from fingerprint.domain.text import printable
from fingerprint.setting_formats import S3Address

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 20.0
"""How long the service may be silent in the middle of an answer."""

CALL_SECONDS: Final = 30.0
"""The time limit of a call for a small object, retries included."""

FILE_SECONDS: Final = 3600.0
"""The time limit for an index file."""

ATTEMPTS: Final = 3
CONNECTIONS: Final = 8
CHUNK_BYTES: Final = 1 << 20
PART_BYTES: Final = 64 << 20
"""Larger files are uploaded in parts of this size: S3 takes at most 5 GB at once."""

MAX_MANIFEST_BYTES: Final = 64 << 20
DELETED_AT_ONCE: Final = 1000
DEFAULT_REGION: Final = "us-east-1"
"""Where no region is set: S3 tells the client the bucket's own."""

_REASONS: Final = {
    "the AWS credentials are wrong or do not allow it": (
        "AccessDenied InvalidAccessKeyId SignatureDoesNotMatch InvalidToken 403 AllAccessDisabled"
    ),
    "the AWS credentials have expired": "ExpiredToken ExpiredTokenException TokenRefreshRequired RequestExpired",
    "this machine's clock is wrong": "RequestTimeTooSkewed",
    "it answers too many requests, or is down for the moment; try again later": (
        "SlowDown Throttling ThrottlingException TooManyRequests ServiceUnavailable InternalError 500 502 503 504"
    ),
}
"""What error codes of S3 mean to the operator."""

_OTHER_REGION: Final = (
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
    "301",
    "307",
)


class ObjectMissingError(Exception):
    """There is no object with this name."""


class ObjectTooLargeError(CatalogError):
    """An object is larger than there is room for."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it is stored; `etag` changes with its content."""

    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An index file or a cover as it is listed; `age` by the service's own clock."""

    name: str
    size: int
    age: timedelta


class ObjectStore:
    """The objects below one address. Methods raise CatalogError, with one line for the operator.

    `what`: what is there, for those lines.
    """

    def __init__(self, client: Any, address: S3Address, *, what: str = "The catalog") -> None:
        self._client = client
        self.address = address
        self._what = what

    async def manifest(self, *, unless: str | None) -> StoredManifest | None:
        """The manifest; None when its ETag is `unless`. Raises ObjectMissingError when there is none."""
        named = {} if unless is None else {"IfNoneMatch": unless}
        async with self._translated(CALL_SECONDS):
            try:
                found = await self._client.get_object(**self._named(MANIFEST_NAME), **named)
            except ClientError as error:
                if _status(error) == 304:
                    return None
                raise
            async with found["Body"] as body:
                content = bytearray()
                while len(content) < MAX_MANIFEST_BYTES and (chunk := await body.read(CHUNK_BYTES)):
                    content += chunk
            self._refuse_cut(MANIFEST_NAME, found["ContentLength"] - len(content), found["ContentLength"])
            return StoredManifest(bytes(content), found["ETag"])

    async def replace_manifest(self, content: bytes, *, etag: str | None) -> str:
        """Store a manifest if the one there has this ETag, or if there is none (None); returns the new ETag.

        Raises ChangedElsewhereError.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            async with self._translated(CALL_SECONDS):
                put = await self._client.put_object(**self._named(MANIFEST_NAME), Body=content, **condition)
                return put["ETag"]
        except (ChangedElsewhereError, ObjectMissingError) as error:
            # The client repeats requests that were not answered: the first try may have taken effect.
            try:
                now = await self.manifest(unless=None)
            except ObjectMissingError:
                now = None
            if now is not None and now.content == content:
                return now.etag
            raise ChangedElsewhereError(f"The catalog at {self.address} was changed by another writer.") from error

    async def download(self, name: str, file: BinaryIO, *, max_bytes: int) -> int:
        """Write an index file or a cover to an open file; returns its size. Raises ObjectMissingError."""
        async with self._translated(FILE_SECONDS):
            found = await self._client.get_object(**self._named(name))
            async with found["Body"] as body:
                left = size = cast("int", found["ContentLength"])
                if size > max_bytes:
                    raise self.too_large()
                while left and (chunk := await body.read(CHUNK_BYTES)):
                    with self._own_disk():
                        await asyncio.to_thread(file.write, chunk)
                    left -= len(chunk)
        self._refuse_cut(name, left, size)
        return size

    def _refuse_cut(self, name: str, left: int, size: int) -> None:
        if left:
            raise CatalogError(f"{self.address}/{name} arrived cut: {left} of {size} bytes are missing.")

    def too_large(self) -> ObjectTooLargeError:
        """The error for a catalog that does not fit on this machine's disk."""
        return ObjectTooLargeError(
            f"The catalog at {self.address} is larger than what copies may take on this disk: "
            "TWITCHAUDIO_CATALOG_COPIES_MB raises that."
        )

    async def upload(self, path: Path, name: str | None = None) -> None:
        """Store a file under its name, or another one."""
        name = name or path.name
        with self._own_disk():
            size = (await asyncio.to_thread(path.stat)).st_size
        async with self._translated(FILE_SECONDS):
            if size <= PART_BYTES:
                with self._own_disk():
                    content = await asyncio.to_thread(path.read_bytes)
                await self._client.put_object(**self._named(name), Body=content)
            else:
                await self._upload_in_parts(path, name, size)

    async def _upload_in_parts(self, path: Path, name: str, size: int) -> None:
        where = self._named(name)
        begun = (await self._client.create_multipart_upload(**where))["UploadId"]
        try:
            with self._own_disk():
                opened = await asyncio.to_thread(path.open, "rb")
            with opened as file:
                parts: list[dict[str, object]] = []
                for number in range(1, -(-size // PART_BYTES) + 1):
                    with self._own_disk():
                        content = await asyncio.to_thread(file.read, PART_BYTES)
                    part = await self._client.upload_part(**where, UploadId=begun, PartNumber=number, Body=content)
                    parts.append({"ETag": part["ETag"], "PartNumber": number})
            await self._client.complete_multipart_upload(**where, UploadId=begun, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(BotoCoreError, ClientError, aiohttp.ClientError, OSError):
                await self._client.abort_multipart_upload(**where, UploadId=begun)
            raise

    async def abort_uploads(self, older_than: timedelta) -> None:
        """Give up uploads in parts that a killed program has begun."""
        async with self._translated(CALL_SECONDS):
            page = await self._client.list_multipart_uploads(Bucket=self.address.bucket, Prefix=self._key(""))
            for each in page.get("Uploads", []):
                if _now(page) - each["Initiated"] > older_than:
                    await self._client.abort_multipart_upload(
                        Bucket=self.address.bucket, Key=each["Key"], UploadId=each["UploadId"]
                    )

    async def files(self, folder: str = "") -> list[StoredFile]:
        """All objects beside the manifest that are directly below the address, or below a folder.

        Names begin with the folder, such as `covers/`.
        """
        found: list[StoredFile] = []
        prefix = self._key(folder)
        more: dict[str, str] = {}
        while True:
            async with self._translated(CALL_SECONDS):
                page = await self._client.list_objects_v2(
                    Bucket=self.address.bucket, Prefix=prefix, Delimiter="/", **more
                )
            found += [
                StoredFile(
                    each["Key"].removeprefix(self._key("")), each["Size"], _now(page) - each["LastModified"]
                )
                for each in page.get("Contents", [])
            ]
            if not page.get("IsTruncated"):
                return [each for each in found if each.name != MANIFEST_NAME]
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def delete(self, names: Collection[str]) -> None:
        """Delete index files or covers."""
        keys = [{"Key": self._key(name)} for name in sorted(names)]
        for first in range(0, len(keys), DELETED_AT_ONCE):
            async with self._translated(CALL_SECONDS):
                await self._client.delete_objects(
                    Bucket=self.address.bucket,
                    Delete={"Objects": keys[first : first + DELETED_AT_ONCE], "Quiet": True},
                )

    def _key(self, name: str) -> str:
        return f"{self.address.prefix}/{name}" if self.address.prefix else name

    def _named(self, name: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": self._key(name)}

    @contextmanager
    def _own_disk(self) -> Generator[None]:
        """Tells an error of this machine's disk from one of the network, whose errors are OSErrors, too."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CatalogError(
                f"The copy of {self.address} on this machine cannot be read or written: {reason}."
            ) from error

    @asynccontextmanager
    async def _translated(self, seconds: float) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("NoSuchKey", "404"):
                raise ObjectMissingError(code) from error
            if _status(error) in (409, 412):
                raise ChangedElsewhereError(f"{self._what} at {self.address} is being changed.") from error
            reason = self._reason(code, error)
            raise CatalogError(f"{self._what} at {self.address} cannot be used: {reason}.") from error
        except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
            name = type(error).__name__
            if name in ("NoCredentialsError", "PartialCredentialsError"):
                reason = "there are no AWS credentials"
            elif isinstance(error, TimeoutError):
                reason = "the service takes too long"
            else:
                reason = f"the service cannot be reached ({name})"
            raise CatalogError(f"{self._what} at {self.address} cannot be used: {reason}.") from error

    def _reason(self, code: str, error: ClientError) -> str:
        if code == "NoSuchBucket":
            return f"there is no bucket {self.address.bucket}"
        if code in _OTHER_REGION:
            region = _headers(error.response).get("x-amz-bucket-region") or error.response.get("Error", {}).get(
                "Region"
            )
            return (
                f"the bucket is in {f'the region {region}' if region else 'another region'}: set AWS_REGION to it"
            )
        for reason, codes in _REASONS.items():
            if code in codes.split():
                return f"{reason} ({code})"
        return f"the service answers {printable(code)[:80] or 'with an error'}"


def _headers(answer: Any) -> Mapping[str, str]:
    return answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})


def _now(answer: Any) -> datetime:
    """The service's time, so that a wrong clock here makes no object old."""
    try:
        return parsedate_to_datetime(_headers(answer)["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


@asynccontextmanager
async def open_store(
    address: S3Address, endpoint: str | None, *, what: str = "The catalog"
) -> AsyncGenerator[ObjectStore]:
    """The objects at an address, at an endpoint or in AWS itself; credentials by the usual AWS variables."""
    session = get_session()
    config = AioConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Services with the same interface often lack AWS's newer checksums; index files have their own.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "auto" if endpoint is None else "path"},
    )
    region: str | None = await asyncio.to_thread(session.get_config_variable, "region")
    try:
        async with session.create_client(
            "s3", region_name=region or DEFAULT_REGION, endpoint_url=endpoint, config=config
        ) as client:
            yield ObjectStore(client, address, what=what)
    except BotoCoreError as error:
        raise CatalogError(
            f"{what} at {address} cannot be used: the AWS settings are wrong ({type(error).__name__})."
        ) from error
