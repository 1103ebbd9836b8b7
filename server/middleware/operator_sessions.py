"""The session of an operator who came by a link, on the operator's pages alone."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.middleware.forms import read_form
from server.middleware.own_machine import is_public
from server.middleware.session import ACCOUNT, CSRF_FIELD, CSRF_HEADER, FORMS, Account

COOKIE: Final = "twitchaudio-operator"
PLACE: Final = "/admin"
"""The path that the cookie is sent to, with all below it."""

OPERATOR_SIGN_IN: Final = f"{PLACE}/sign-in"
"""The path of the link; its query has the `token`."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def operator_sessions(*, body_seconds: float) -> Middleware:
    """Create the middleware that recognizes the operator by the cookie, and rejects cross-site requests."""

    @web.middleware
    async def recognize(request: web.Request, handler: Handler) -> web.StreamResponse:
        cookie = request.cookies.get(COOKIE)
        link = request.app[keys.OPERATOR_LINK]
        if cookie is not None and link.is_session(cookie) and _is_desk(request.path) and not is_public(request):
            if request.method not in _SAFE:
                await _check_csrf(request, cookie, body_seconds)
            context = request[keys.CONTEXT]
            context.known_subject = link.operator._replace(address=context.audit_subject.address)
            request[ACCOUNT] = Account(local=context.known_subject, csrf_token=link.csrf_token(cookie), admin=True)
        return await handler(request)

    return recognize


def _is_desk(path: str) -> bool:
    return path == PLACE or path.startswith(f"{PLACE}/")


async def _check_csrf(request: web.Request, session: str, body_seconds: float) -> None:
    """Raise TwitchAudioError `csrf` unless one of our own pages sent the request."""
    token = request.headers.get(CSRF_HEADER)
    if token is None and request.content_type in FORMS:
        token = (await read_form(request, body_seconds)).get(CSRF_FIELD)
    if token is None or not request.app[keys.OPERATOR_LINK].is_csrf_token(token, session):
        detail = "This was not sent by our own page, or by one from before you signed in. Load the page again."
        raise TwitchAudioError(ProblemCode.CSRF, detail)
