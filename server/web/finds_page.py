"""`/finds`: the songs that the visitor found, of their account and of their browser."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.api.finds import finds_of
from server.middleware.session import account
from server.songs.finds import Find, FindStore
from server.web.render import in_time, render


class FindsPage:
    """Handlers of the page. `store_seconds` is how long each waits for the database."""

    def __init__(self, *, store_seconds: float) -> None:
        self._seconds = store_seconds

    async def show(self, request: web.Request) -> web.Response:
        """The finds of the visitor's account; a script adds those that only their browser knows."""
        user_id = account(request).user_id
        kept: Sequence[Find] = ()
        if user_id is not None:
            async with in_time(self._seconds):
                kept = await finds_of(request, user_id)
        context = {
            "page": "finds",
            "path": "/finds",
            "kept": kept,
            "kept_json": [_as_script_reads(find) for find in kept],
            "said": "said" in request.query,
        }
        return render("finds.html", request, context)

    async def delete(self, request: web.Request) -> web.Response:
        """`POST /finds`: deletes the finds of the visitor's account, and comes back."""
        user_id = account(request).user_id
        if user_id is None:
            raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, "Finds belong to a Twitch account: sign in first.")
        async with in_time(self._seconds):
            await FindStore(request.app[keys.DATABASE]).delete_all(user_id)
        raise web.HTTPSeeOther(location="/finds?said=1")


def _as_script_reads(find: Find) -> Mapping[str, str]:
    """A find as `finds_store.js` keeps those of the browser."""
    return {
        "id": find.identification_id,
        "song": f"/songs/{find.song_id}",
        "title": find.title,
        "artists": find.artists,
        "source": find.source,
        "at": find.found_at.isoformat(),
    }
