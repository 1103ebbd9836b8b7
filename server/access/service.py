"""Access control as the rest of the server sees it: the facts are gathered here, and `policy.decide` decides."""

from typing import Final

from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import TwitchTarget
from fingerprint.ports import Clock
from server.access.kept import Kept
from server.access.policy import Facts, Refusal, decide
from server.access.rules import Rules, RulesStore

RULES_SECONDS: Final = 1.0
"""How old the rules may be: a change is seen by every server within that time and one query."""

_MAINTENANCE_RETRY_SECONDS: Final = 60.0


class Access:
    """Decides on requests. When the rules are out of reach nobody passes (`busy`)."""

    def __init__(self, store: RulesStore, *, clock: Clock) -> None:
        self._store = store
        self._known: Rules | None = None
        self._rules = Kept(self._read, clock=clock, seconds=RULES_SECONDS)

    async def rules(self) -> Rules:
        """The operator's rules. Raises TwitchAudioError `busy`."""
        return await self._rules.get()

    async def refusal(self, kind: Kind) -> Refusal | None:
        """Why the caller may not ask for targets of a kind, or None. Raises TwitchAudioError `busy`."""
        return decide(Facts(website=(await self.rules()).website, kind=kind))

    async def check(self, target: TwitchTarget) -> None:
        """Raise TwitchAudioError with the refusal's code unless the caller may ask for a target."""
        refusal = await self.refusal(target.kind)
        if refusal is not None:
            retry = _MAINTENANCE_RETRY_SECONDS if refusal.code is ProblemCode.MAINTENANCE else None
            raise TwitchAudioError(refusal.code, refusal.detail, retry_after_seconds=retry)

    async def close(self) -> None:
        """End what is under way."""
        await self._rules.close()

    async def _read(self) -> Rules:
        self._known = await self._store.read(self._known)
        return self._known
