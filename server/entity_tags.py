"""Entity tags (RFC 9110, 8.8.3): a client that has an answer already learns that it is still the same, as 304."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from aiohttp import web

_TAGS: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def entity_tag(body: bytes) -> str:
    """The strong entity tag of a body: the same for the same bytes, on every server."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def is_known(request: web.Request, tag: str) -> bool:
    """Whether the client of a GET or HEAD request has the tagged body already, by `If-None-Match`.

    It takes one tag, a list of them, or `*`; weak and strong ones are equal here. What is malformed is ignored.
    """
    if request.method not in ("GET", "HEAD"):
        return False
    values = request.headers.getall("If-None-Match", ())
    return any(value.strip() == "*" or tag in _TAGS.findall(value) for value in values)


def tagged_response(
    request: web.Request, body: bytes, *, content_type: str, headers: Mapping[str, str]
) -> web.Response:
    """A response with the body and its entity tag, or 304 when the client has it already."""
    tagged = {**headers, "ETag": entity_tag(body)}
    if is_known(request, tagged["ETag"]):
        return web.Response(status=304, headers=tagged)
    return web.Response(body=body, headers={**tagged, "Content-Type": content_type})
