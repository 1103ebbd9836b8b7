"""`Expect: 100-continue` is honored; what else a client expects is ignored, as RFC 9110 (10.1.1) allows.

aiohttp refuses it before any middleware runs, in its own words, and fails when the header is not UTF-8.
"""

from aiohttp import HttpVersion11, web


def ignore_unknown_expectations(app: web.Application) -> None:
    """Set how the application's routes treat the header, those that aiohttp makes for its errors included."""
    resolve = app.router.resolve

    async def resolved(request: web.Request) -> web.UrlMappingMatchInfo:
        match = await resolve(request)
        if "Expect" in request.headers:
            # aiohttp takes this for each route only where the route is added, and not at all for errors.
            match.route._expect_handler = _go_on  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        return match

    app.router.resolve = resolved


async def _go_on(request: web.Request) -> None:
    expected = request.headers.get("Expect", "").strip().lower()
    transport = request.transport
    if expected == "100-continue" and request.version >= HttpVersion11 and transport is not None:
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
