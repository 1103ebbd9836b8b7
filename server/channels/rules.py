"""The checks for chat bots and watches, which ask in every access mode, but not for what is switched off."""

from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import ChannelTarget
from server.access.rules.policy import Facts, decide
from server.access.service import Access


async def check_is_on(access: Access, target: ChannelTarget) -> None:
    """Raise TwitchAudioError when the site, streams or the channel are off."""
    broadcaster = await access.broadcaster(target)
    rules = await access.rules()
    facts = Facts(
        website=rules.website,
        kind=Kind.STREAM,
        blacklisted=rules.blacklist.names(target=target, broadcaster=broadcaster),
        key_scopes=frozenset({"streams"}),
    )
    refusal = decide(facts)
    if refusal is not None:
        raise TwitchAudioError(refusal.code, refusal.detail)
