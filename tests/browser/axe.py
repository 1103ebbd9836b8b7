"""axe-core on a page of either browser: what people with a screen reader, or without a mouse, stumble over."""

from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.browser.bidi.tab import Tab

SOURCE: Final = Path(__file__).parents[2] / "requirements" / "node" / "node_modules" / "axe-core" / "axe.min.js"

RUN: Final = """
const result = await axe.run(document, {
  resultTypes: ["violations"],
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
});
const where = (each) => each.nodes.map((node) => node.html.slice(0, 120)).join(" | ");
return result.violations.map((each) => `${each.id}: ${where(each)}`);
"""


@cache
def _source() -> str:
    if not SOURCE.is_file():
        pytest.skip("axe-core is not installed (scripts/test does, with npm)")
    return SOURCE.read_text(encoding="utf-8")


async def violations(tab: Tab) -> list[str]:
    """What axe finds; empty is good."""
    if not await tab.evaluate("Boolean(window.axe)"):
        await tab.run(_source())  # half a megabyte, so once a page
    return await tab.run(RUN)
