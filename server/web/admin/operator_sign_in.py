"""`/admin/sign-in`: opens the link that `serve` prints in its terminal, where no one can sign in with Twitch."""

import logging
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.middleware.operator_sessions import COOKIE, OPERATOR_SIGN_IN, PLACE
from server.middleware.own_machine import is_public
from server.web.admin.common import require_admin

_USED: Final = "This link was used before, or is older than 15 minutes. The server prints a new one at its start."
_ELSEWHERE: Final = "This link only works in a browser on the machine that the server runs on, without a proxy."
_log = logging.getLogger(__name__)


def add_operator_sign_in(app: web.Application) -> None:
    """Add signing in and out to an application that has an `OPERATOR_LINK`."""
    # Programs that look at links, as chats do, would use it up.
    app.router.add_get(OPERATOR_SIGN_IN, _sign_in, allow_head=False)
    app.router.add_post(f"{PLACE}/sign-out", _sign_out)


async def _sign_in(request: web.Request) -> web.StreamResponse:
    """Use up the link, and go to the operator's pages."""
    access, context, link = request.app[keys.ACCESS], request[keys.CONTEXT], request.app[keys.OPERATOR_LINK]
    session = None if is_public(request) else link.open(request.query.get("token", ""))
    if session is None:
        access.sign_in_failed(context, ProblemCode.FORBIDDEN)
        raise TwitchAudioError(ProblemCode.FORBIDDEN, _ELSEWHERE if is_public(request) else _USED)
    access.signed_in_by_link(context, link.operator)
    _log.info("operator_signed_in", extra={"address": context.audit_subject.address})
    response = web.HTTPSeeOther(PLACE, headers={"Cache-Control": "no-store"})
    # Not `Strict`: the browser of a terminal in a browser would not send it.
    response.set_cookie(COOKIE, session.reveal(), path=_place(request), httponly=True, samesite="Lax")
    raise response


async def _sign_out(request: web.Request) -> web.StreamResponse:
    """End the session. Raises TwitchAudioError `login-required` when there is none."""
    require_admin(request)
    request.app[keys.OPERATOR_LINK].end()
    response = web.HTTPSeeOther("/", headers={"Cache-Control": "no-store"})
    response.del_cookie(COOKIE, path=_place(request), httponly=True, samesite="Lax")
    raise response


def _place(request: web.Request) -> str:
    return request.app[keys.SETTINGS].path_prefix + PLACE
