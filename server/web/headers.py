"""The headers that pages have besides those of every response: what a browser may load and frame."""

from typing import Final

from aiohttp import web

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

FRAMED_ANYWHERE: Final = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")
"""For the overlay, which shows a song and does nothing."""

FRAMES_OURS: Final = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
"""For the overlay's builder, which shows the overlay within."""

PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


async def add_page_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Handler of `on_response_prepare` that adds the headers of pages."""
    headers = response.headers
    if headers.get("Content-Type", "").startswith("text/html"):
        for name, value in PAGE_HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
