"""A tab: go somewhere, look, click, type, take a picture. The same in every browser."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.browser.bidi.connection import BidiError, Connection

WAIT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.04
_CLOSE_SECONDS: Final = 3.0

KEYS: Final = {
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Tab": "\ue004",
    "Shift": "\ue008",
    "Alt": "\ue00a",
    "Control": "\ue009",
    "Space": " ",
    "Backspace": "\ue003",
    "ArrowDown": "\ue015",
    "ArrowUp": "\ue013",
    "End": "\ue010",
}

# `a >>> b`: b in the open shadow root of a.
_FIND: Final = """const find = (selector) => {
  let root = document;
  const steps = selector.split(" >>> ");
  for (const step of steps.slice(0, -1)) {
    root = root.querySelector(step)?.shadowRoot;
    if (!root) return null;
  }
  return root.querySelector(steps.at(-1));
};
"""

_PLACE: Final = (
    _FIND
    + """
const element = find(selector);
if (!element || !element.checkVisibility({visibilityProperty: true})) return null;
const rect = () => { const r = element.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; };
element.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
const before = rect();
await new Promise((resolve) => setTimeout(resolve, 20));
const after = rect();
if (before.some((value, index) => Math.abs(value - after[index]) > 0.5)) return null;
const [x, y] = [Math.round(after[0] + after[2] / 2), Math.round(after[1] + after[3] / 2)];
let top = document.elementFromPoint(x, y);
while (top?.shadowRoot?.elementFromPoint(x, y)) {
  const inner = top.shadowRoot.elementFromPoint(x, y);
  if (inner === top) break;
  top = inner;
}
let at = top;
while (at && at !== element) at = at.parentNode ?? at.host;
if (!at) return {covered: top ? `${top.localName}.${top.className}` : "nothing"};
return {x, y};
"""
)


@dataclass(slots=True)
class Tab:
    """A browsing context. Expressions are JavaScript; what they give comes back through JSON."""

    connection: Connection
    id: str

    async def navigate(self, address: str, *, wait: str = "complete") -> None:
        """Load an address and wait until it is `complete` (or `interactive`, `none`). Raises BidiError."""
        await self.connection.command("browsingContext.navigate", context=self.id, url=address, wait=wait)

    async def reload(self) -> None:
        """Load the page anew."""
        await self.connection.command("browsingContext.reload", context=self.id, wait="complete")

    async def evaluate(self, expression: str, *arguments: Any) -> Any:
        """The value of an expression; with arguments, of a function such as `(a, b) => a + b` called with them.

        Promises are awaited. Raises BidiError `javascript error` with the page's own text.
        """
        called = f"({expression.strip()})(...args)" if arguments else f"({expression.strip()})"
        return await self._call(
            f"async (json) => {{ const args = JSON.parse(json); return {called}; }}", arguments
        )

    async def run(self, body: str, *arguments: Any) -> Any:
        """Run statements with `args` as a list; `return` gives the value."""
        return await self._call(f"async (json) => {{ const args = JSON.parse(json); {body} }}", arguments)

    async def gesture(self, expression: str) -> None:
        """Evaluate an expression as if in a click, for what pages may do only then, such as full screen."""
        await self._call(f"async () => {{ await ({expression}); }}", (), gesture=True)

    async def _call(self, function: str, arguments: tuple[Any, ...], *, gesture: bool = False) -> Any:
        answer = await self.connection.command(
            "script.callFunction",
            functionDeclaration=f"async (json) => JSON.stringify(await ({function})(json))",
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
            target={"context": self.id},
            awaitPromise=True,
            resultOwnership="none",
            userActivation=gesture,
        )
        if answer["type"] == "exception":
            raise BidiError("javascript error", answer["exceptionDetails"]["text"])
        value = answer["result"].get("value")
        return None if value is None else json.loads(value)

    async def wait_for(self, expression: str, *arguments: Any, seconds: float = WAIT_SECONDS, of: str = "") -> Any:
        """Evaluate until the value is truthy, and give it. Raises AssertionError with the last value.

        A page that is just being replaced is asked again.
        """
        value = f"await ({expression.strip()})(...given)" if arguments else f"await ({expression.strip()})"
        # An element comes back as an empty object; that it is there is what counts.
        asked = f"async (given) => {{ const value = {value}; return value instanceof Node ? true : value; }}"
        until = time.monotonic() + seconds
        last: Any = None
        while True:
            try:
                last = await self.evaluate(asked, arguments)
            except BidiError as error:
                last = error
            else:
                if last:
                    return last
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds:g} s: {of or expression} (last: {last!r})")
            await asyncio.sleep(_POLL_SECONDS)

    async def locate(self, selector: str, *, seconds: float = WAIT_SECONDS) -> tuple[int, int]:
        """The middle of an element that is visible, at rest and not covered; `host >>> inner`: in a shadow root.

        Raises AssertionError when there is none in time, and says what covers it.
        """
        place = f"async (selector) => {{ {_PLACE} }}"
        until = time.monotonic() + seconds
        while True:
            found = await self.evaluate(place, selector)
            if found and "x" in found:
                return found["x"], found["y"]
            if time.monotonic() > until:
                raise AssertionError(f"{selector} cannot be reached within {seconds:g} s: {found}")
            await asyncio.sleep(_POLL_SECONDS)

    async def of(self, selector: str, expression: str, *arguments: Any) -> Any:
        """A function of an element, called with it and the arguments; None when there is no such element."""
        looked = f"const element = find(selector); return element && ({expression})(element, ...more);"
        return await self.evaluate(f"async (selector, ...more) => {{ {_FIND} {looked} }}", selector, *arguments)

    async def text(self, selector: str) -> str | None:
        """The rendered text of an element; None when there is none."""
        return await self.of(selector, "(element) => element.innerText")

    async def wait_for_text(self, selector: str, text: str, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an element's text contains another. Raises AssertionError with what it says instead."""
        until = time.monotonic() + seconds
        while text not in (said := await self.text(selector) or ""):
            if time.monotonic() > until:
                raise AssertionError(f"{selector} does not say {text!r} within {seconds:g} s, but {said!r}")
            await asyncio.sleep(_POLL_SECONDS)

    async def attribute(self, selector: str, name: str) -> str | None:
        """An attribute of an element; None when either is missing."""
        return await self.of(selector, "(element, name) => element.getAttribute(name)", name)

    async def visible(self, selector: str) -> bool:
        """Whether an element is there and rendered."""
        return bool(await self.of(selector, "(element) => element.checkVisibility({visibilityProperty: true})"))

    async def click(self, selector: str) -> None:
        """A real click, which the page sees as trusted, in the middle of an element."""
        await self.click_at(*await self.locate(selector))

    async def click_at(self, x: int, y: int) -> None:
        """A real click at a place of the viewport."""
        await self.move(x, y)
        await self._pointer(
            [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}],
        )

    async def move(self, x: int, y: int) -> None:
        """Move the mouse to a place of the viewport."""
        await self._pointer([{"type": "pointerMove", "x": x, "y": y}])

    async def _pointer(self, actions: list[dict[str, Any]]) -> None:
        source = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}
        await self.connection.command("input.performActions", context=self.id, actions=[source])

    async def press(self, *names: str) -> None:
        """Press keys together (`press("Shift", "Tab")`), by the names in KEYS or as one character."""
        values = [KEYS.get(name, name) for name in names]
        actions = [{"type": "keyDown", "value": value} for value in values]
        actions += [{"type": "keyUp", "value": value} for value in reversed(values)]
        await self._keys(actions)

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self._keys([{"type": kind, "value": sign} for sign in text for kind in ("keyDown", "keyUp")])

    async def _keys(self, actions: list[dict[str, Any]]) -> None:
        source = {"type": "key", "id": "keyboard", "actions": actions}
        await self.connection.command("input.performActions", context=self.id, actions=[source])

    async def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field by typing."""
        await self.click(selector)
        await self.of(selector, "(element) => element.select()")
        await self.type(text)

    async def viewport(self, width: int, height: int) -> None:
        """Set the size of the page in CSS pixels."""
        await self.connection.command(
            "browsingContext.setViewport", context=self.id, viewport={"width": width, "height": height}
        )

    async def screenshot(self, file: Path) -> None:
        """Write what is seen as PNG."""
        answer = await self.connection.command("browsingContext.captureScreenshot", context=self.id)
        picture = base64.b64decode(answer["data"])
        await asyncio.to_thread(file.write_bytes, picture)

    async def activate(self) -> None:
        """Bring the tab to the front and give it the focus."""
        await self.connection.command("browsingContext.activate", context=self.id)

    async def close(self) -> None:
        """Close the tab. chromedriver may forget to answer while an error page is coming up: it is asked again."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.connection.command("browsingContext.close", context=self.id)
        except TimeoutError:
            tree = await self.connection.command("browsingContext.getTree", maxDepth=0)
            if any(each["context"] == self.id for each in tree["contexts"]):
                await self.connection.command("browsingContext.close", context=self.id)
