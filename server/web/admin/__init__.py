"""The operator's desk, `/admin`: what `twitchaudio admin` does, as pages."""

from aiohttp import web

from server import keys
from server.access.rules import RulesStore
from server.logs.changes import ChangeLog
from server.web.admin.desk import Operator, let_in
from server.web.admin.lists import make_sections
from server.web.admin.pages import Desk, Drawers
from server.web.admin.server_room import ServerRoom


def add_desk(app: web.Application) -> None:
    """Add the desk's pages."""

    def drawers(operator: Operator) -> Drawers:
        database, clock = app[keys.DATABASE], app[keys.CLOCK]
        changes = ChangeLog(operator.who, clock=clock)
        return Drawers(
            rules=RulesStore(database, changes=changes), sections=make_sections(database, changes, clock)
        )

    desk = Desk(gate=let_in, drawers=drawers, room=ServerRoom(app))
    app.router.add_get("/admin", desk.overview)
    app.router.add_get("/admin/recognizers", desk.recognizers)
    app.router.add_get("/admin/logs", desk.logs)
    for path, handler in (("/admin/settings", desk.settings), ("/admin/{section}", desk.section)):
        app.router.add_get(path, handler)
        app.router.add_post(path, handler)
