"""`/api/v1/artwork/{name}`: the pictures that songs name as their `artwork`."""

from typing import Final

from aiohttp import web

from fingerprint.domain.artwork import PATH, parse_card_name
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.quotas.budgets import Allowance, CostBudget
from server.api.requests import no_unknown_query
from server.artwork import CardKey
from server.entity_tags import tagged_response

BUDGET: Final = Allowance(burst=600.0, per_second=5.0)
"""What an address may spend on pictures: made-up names of cards would have one drawn each time."""

CARD_COST: Final = 5.0
SCALED_COST: Final = 1.0
KEPT_COST: Final = 0.05
"""What a picture costs that is there already, whoever it was made for."""

# Not in `server.keys`: only this module uses it.
PICTURES: Final = web.AppKey("picture_budget", CostBudget)

HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Other sites may show it: a bot's page, the extension on Twitch.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def get(request: web.Request) -> web.Response:
    """A picture, which never changes. Raises TwitchAudioError `not-found`, `rate-limited`, `busy`."""
    no_unknown_query(request)
    name, content_type = request.match_info["name"], "image/jpeg"
    budget, address = request.app[PICTURES], request[keys.CONTEXT].credentials.address
    budget.check(address, "Too many pictures were made for this address. Try again in a moment.")
    is_card = name.endswith(".png")
    made = CARD_COST if is_card else SCALED_COST
    budget.spend(address, made if request.app[keys.ARTWORK].has_to_be_made(name) else KEPT_COST)
    if is_card:
        card = parse_card_name(name)
        picture = None if card is None else await request.app[keys.ARTWORK].card(CardKey(*card))
        content_type = "image/png"
    else:
        picture = await request.app[keys.ARTWORK].picture(name)
    if picture is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, "There is no picture at this address any more.")
    return tagged_response(request, picture, content_type=content_type, headers=HEADERS)


ROUTES: Final = (web.get(f"{PATH}/{{name}}", get),)
