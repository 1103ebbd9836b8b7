"""The checks for chat bots and watches, which ask in every access mode, but not for what is switched off."""

from collections.abc import Sequence

from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, VideoTarget
from server.access.identity.addresses import Address
from server.access.identity.twitch_user import TwitchUser
from server.access.rules.policy import Facts, decide
from server.access.service import Access


async def check_is_on(
    access: Access,
    target: ChannelTarget | VideoTarget,
    *,
    address: Address | None = None,
    users: Sequence[TwitchUser] = (),
) -> None:
    """Raise TwitchAudioError when the site, streams, the channel or the VOD are off, or who asks is blacklisted.

    `address` is where the request came from; `users` are all who stand behind it.
    """
    broadcaster = await access.broadcaster(target)
    rules = await access.rules()
    names = rules.blacklist.names
    facts = Facts(
        website=rules.website,
        kind=Kind.STREAM,
        blacklisted=names(address=address, target=target, broadcaster=broadcaster)
        or any(names(user=user) for user in users),
        key_scopes=frozenset({"streams"}),
    )
    refusal = decide(facts)
    if refusal is not None:
        raise TwitchAudioError(refusal.code, refusal.detail)
