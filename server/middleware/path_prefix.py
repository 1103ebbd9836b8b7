"""The website below a path, as in `https://host/twitchaudio/`: TWITCHAUDIO_BASE_URL says which.

Handlers, routes and logs know paths without the prefix. It is taken off a request before it is routed, whether the
reverse proxy has passed it on or has removed it, and put in front of the `Location` of every response. Templates
write `{{ root }}/docs`, scripts `root` of `root.js`, and bodies `public_path`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from server import keys

RequestFactory = Callable[..., web.BaseRequest]


def public_path(request: web.Request, path: str) -> str:
    """A path of ours, such as `/docs`, as clients see it. Gives other addresses, and public paths, unchanged."""
    return with_prefix(path, request.app[keys.SETTINGS].path_prefix)


def with_prefix(address: str, prefix: str) -> str:
    """Put `prefix`, which is empty or such as `/twitchaudio`, in front of a path that does not have it yet."""
    local = address.startswith("/") and not address.startswith("//")
    return prefix + address if local and without_prefix(address, prefix) == address else address


def without_prefix(address: str, prefix: str) -> str:
    """Take `prefix` off the beginning of a path, with its query if it has one; gives other paths unchanged."""
    rest = address.removeprefix(prefix)
    if not prefix or rest == address or (rest and rest[0] not in "/?#"):
        return address
    return rest if rest.startswith("/") else f"/{rest}"


def unprefixed_requests(make: RequestFactory, prefix: str) -> RequestFactory:
    """Make requests as `make` does, with paths that do not begin with `prefix`."""

    def make_request(message: RawRequestMessage, *args: Any, **kwargs: Any) -> web.BaseRequest:
        path = without_prefix(message.url.raw_path, prefix)
        if path != message.url.raw_path:
            url = message.url.with_path(path, encoded=True, keep_query=True)
            message = message._replace(url=url, path=url.raw_path_qs)
        return make(message, *args, **kwargs)

    return make_request if prefix else make


def prefix_locations(prefix: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Create the handler of `on_response_prepare` that completes the `Location` header."""

    async def complete(_request: web.Request, response: web.StreamResponse) -> None:
        location = response.headers.get("Location")
        if location is not None:
            response.headers["Location"] = with_prefix(location, prefix)

    return complete
