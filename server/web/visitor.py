"""Who looks at the start page, and what they may ask for."""

from collections.abc import Sequence
from dataclasses import dataclass

from fingerprint.domain.identification import Kind
from server.access.request_context import RequestContext
from server.access.rules.policy import Refusal
from server.access.rules.website import WebsiteSettings
from server.access.service import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A visitor of the start page.

    `refusal` says why they may ask for nothing; `partly` why not for one of streams and clips.
    """

    website: WebsiteSettings
    login: str | None = None
    refusal: Refusal | None = None
    partly: Refusal | None = None
    broadcasters: Sequence[str] = ()


async def read_visitor(access: Access, context: RequestContext) -> Visitor:
    """The visitor who sent a request. Raises TwitchAudioError, as `Access.authenticate` does."""
    rules = await access.rules()
    principal = await access.authenticate(context)
    streams = await access.refusal(context, Kind.STREAM)
    clips = await access.refusal(context, Kind.CLIP)
    return Visitor(
        website=rules.website,
        login=None if principal.user is None else principal.user.login,
        # A visitor who may ask for one of the two is shown the form.
        refusal=streams if streams is not None and clips is not None else None,
        partly=streams if clips is None else clips if streams is None else None,
        broadcasters=tuple(each.login for each in rules.broadcasters if each.login),
    )
