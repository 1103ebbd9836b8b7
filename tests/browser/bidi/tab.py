"""A tab: go somewhere, look, click, type, take a picture. The same in every browser."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.browser.bidi.connection import BidiError, Connection

WAIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.04
_LOOK_SECONDS: Final = 1.0
_FROZEN_SECONDS: Final = 10.0
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

# `a >>> b`: b in the open shadow root of a. `a :: text`: the first visible a with this text in it.
_FIND: Final = """const find = (selector) => {
  let root = document;
  const [path, text] = selector.split(" :: ");
  const steps = path.split(" >>> ");
  for (const step of steps.slice(0, -1)) {
    root = root.querySelector(step)?.shadowRoot;
    if (!root) return null;
  }
  if (text === undefined) return root.querySelector(steps.at(-1));
  const contains = (element) => element.checkVisibility({visibilityProperty: true}) &&
    element.textContent.replace(/\\s+/g, " ").includes(text);
  return [...root.querySelectorAll(steps.at(-1))].find(contains) ?? null;
};
"""

# Scrolls once, then looks twice, two frames apart: a page may still scroll by itself, as Firefox does to the caret
# in the frame after a key. A page in the back draws no frames, and one without scripts is not told of them.
_PLACE: Final = (
    _FIND
    + """
const element = find(selector);
if (!element || !element.checkVisibility({visibilityProperty: true})) return null;
const frame = () => new Promise((go) => {
  if (!scripting) go(); else if (document.hidden) setTimeout(go, 20); else requestAnimationFrame(go);
});
const middle = () => {
  const box = element.getBoundingClientRect();
  return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];
};
element.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
const before = middle();
await frame();
await frame();
const [x, y] = middle();
if (before[0] !== x || before[1] !== y) return {moved: [before, [x, y]]};
let top = document.elementFromPoint(x, y);
while (top?.shadowRoot?.elementFromPoint(x, y)) {
  const inner = top.shadowRoot.elementFromPoint(x, y);
  if (inner === top) break;
  top = inner;
}
let at = top;
while (at && at !== element) at = at.parentNode ?? at.host;
if (!at) return {covered: top ? `${top.localName}.${top.className}` : "nothing"};
"""
)

# A press that would land elsewhere, because the page moved after all, is kept from the page and noted.
_GUARD: Final = """
const guard = {landed: null, end: null};
const kinds = ["pointerdown", "mousedown", "pointerup", "mouseup", "click"];
const check = (event) => {
  if (!event.isTrusted) return;
  guard.landed ??= event.composedPath().includes(element);
  if (guard.landed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
};
for (const kind of kinds) window.addEventListener(kind, check, true);
guard.end = () => { for (const kind of kinds) window.removeEventListener(kind, check, true); };
window[Symbol.for("guard")] = guard;
"""
_LANDED: Final = """(() => {
const guard = window[Symbol.for("guard")];
guard?.end();
delete window[Symbol.for("guard")];
return guard ? guard.landed ?? "nowhere" : "replaced";
})()"""


# Looks again and again inside the page: each call from outside costs both sides some 20 ms of work.
_LOOK: Final = """async (given) => {
  const until = performance.now() + LOOK_MS;
  for (;;) {
    const last = performance.now() >= until;
    try {
      const value = VALUE;
      // An element comes back as an empty object; that it is there is what counts.
      if (value || last) return value instanceof Node ? true : value;
    } catch (error) {
      if (last) throw error;
    }
    await new Promise((go) => setTimeout(go, 25));
  }
}"""


@dataclass(slots=True)
class Tab:
    """A browsing context. Expressions are JavaScript; what they give comes back through JSON."""

    connection: Connection
    id: str
    scripting: bool = True
    """Whether the page's scripts run."""

    async def navigate(self, address: str, *, wait: str = "complete") -> None:
        """Load an address and wait until it is `complete` (or `interactive`, `none`). Raises BidiError."""
        await self.connection.command("browsingContext.navigate", context=self.id, url=address, wait=wait)

    async def reload(self) -> None:
        """Reload the page."""
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

        A page that is just being replaced is asked again, and so is one that the browser has put aside and frozen.
        """
        value = f"await ({expression.strip()})(...given)" if arguments else f"await ({expression.strip()})"
        until = time.monotonic() + seconds
        last: Any = None
        while True:
            # Timers do not run in a page without scripts.
            look = min(_LOOK_SECONDS, max(until - time.monotonic(), 0)) if self.scripting else 0
            try:
                async with asyncio.timeout(_FROZEN_SECONDS):
                    last = await self.evaluate(
                        _LOOK.replace("LOOK_MS", str(round(look * 1000))).replace("VALUE", value), arguments
                    )
            except (BidiError, TimeoutError) as error:
                last = error
            else:
                if last:
                    return last
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds:g} s: {of or expression} (last: {last!r})")
            await asyncio.sleep(_POLL_SECONDS)

    async def locate(self, selector: str, *, seconds: float = WAIT_SECONDS) -> tuple[int, int]:
        """The middle of an element that is visible, at rest (two frames long) and not covered.

        Raises AssertionError when there is none in time, and says what covers it.
        """
        return await self._locate(selector, "", time.monotonic() + seconds)

    async def _locate(self, selector: str, then: str, until: float) -> tuple[int, int]:
        place = f"async (selector, scripting) => {{ {_PLACE} {then} return {{x, y}}; }}"
        last: Any = None
        while True:
            found: Any
            try:
                found = await self.evaluate(place, selector, self.scripting)
            except BidiError as error:  # the page is just being replaced
                found = {"error": str(error)}
            if found and "x" in found and (self.scripting or found == last):
                return found["x"], found["y"]
            last = found
            if time.monotonic() > until:
                raise AssertionError(f"{selector} cannot be reached in time: {found}")
            await asyncio.sleep(_POLL_SECONDS)

    async def of(self, selector: str, expression: str, *arguments: Any) -> Any:
        """A function of an element, called with it and the arguments; None when there is no such element."""
        looked = f"const element = find(selector); return element && ({expression})(element, ...more);"
        return await self.evaluate(f"async (selector, ...more) => {{ {_FIND} {looked} }}", selector, *arguments)

    async def text(self, selector: str) -> str | None:
        """The rendered text of an element; None when there is none."""
        return await self.of(selector, "(element) => element.innerText")

    async def wait_for_text(self, selector: str, text: str, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an element's text contains another. Raises AssertionError with its last text."""
        look = f"(selector, text) => {{ {_FIND} return (find(selector)?.innerText ?? '').includes(text); }}"
        try:
            await self.wait_for(look, selector, text, seconds=seconds)
        except AssertionError as error:
            last = await self.text(selector)
            raise AssertionError(f"{selector} does not say {text!r} within {seconds:g} s, but {last!r}") from error

    async def wait_for_visible(self, selector: str, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an element is rendered. Raises AssertionError."""
        visible = "element?.checkVisibility({visibilityProperty: true})"
        look = f"(selector) => {{ {_FIND} const element = find(selector); return {visible}; }}"
        await self.wait_for(look, selector, seconds=seconds, of=f"{selector} is visible")

    async def wait_for_focus(self, selector: str, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an element has the focus. Raises AssertionError."""
        look = f"(selector) => {{ {_FIND} return document.activeElement === find(selector); }}"
        await self.wait_for(look, selector, seconds=seconds, of=f"{selector} has the focus")

    async def wait_for_address(self, part: str, *, seconds: float = WAIT_SECONDS) -> str:
        """Wait until the page's address contains a text; gives the address. Raises AssertionError."""
        look = "(part) => location.href.includes(part) && document.readyState === 'complete' && location.href"
        return await self.wait_for(look, part, seconds=seconds, of=f"the address contains {part}")

    async def address(self) -> str:
        """The address of the page."""
        return await self.evaluate("location.href")

    async def count(self, selector: str) -> int:
        """How many elements match a plain CSS selector."""
        return await self.evaluate("(selector) => document.querySelectorAll(selector).length", selector)

    async def traverse_history(self, delta: int) -> None:
        """Go back (-1) or forward (1)."""
        await self.connection.command("browsingContext.traverseHistory", context=self.id, delta=delta)

    async def attribute(self, selector: str, name: str) -> str | None:
        """An attribute of an element; None when either is missing."""
        return await self.of(selector, "(element, name) => element.getAttribute(name)", name)

    async def visible(self, selector: str) -> bool:
        """Whether an element is there and rendered."""
        return bool(await self.of(selector, "(element) => element.checkVisibility({visibilityProperty: true})"))

    async def click(self, selector: str) -> None:
        """A real click, which the page sees as trusted, in the middle of an element.

        One that would land elsewhere is taken back, and done again. Raises AssertionError when none lands in time.
        """
        if not self.scripting:
            await self.click_at(*await self.locate(selector))
            return
        until = time.monotonic() + WAIT_SECONDS
        while True:
            await self.click_at(*await self._locate(selector, _GUARD, until))
            try:
                landed = await self.evaluate(_LANDED)
            except BidiError:  # the click led to another page, or closed this one
                return
            if landed is not False:
                assert landed != "nowhere", f"the click on {selector} never came"
                return
            assert time.monotonic() < until, f"{selector} does not keep still"

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

    async def tab_to(self, selector: str, *, most: int = 40) -> None:
        """Press Tab until an element has the focus, and shows it. Raises AssertionError after the most presses."""
        look = f"(selector) => {{ {_FIND} return document.activeElement === find(selector); }}"
        for _ in range(most):
            await self.press("Tab")
            if await self.evaluate(look, selector):
                outline = await self.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"{selector} does not show the focus"
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self._keys([{"type": kind, "value": sign} for sign in text for kind in ("keyDown", "keyUp")])

    async def _keys(self, actions: list[dict[str, Any]]) -> None:
        source = {"type": "key", "id": "keyboard", "actions": actions}
        await self.connection.command("input.performActions", context=self.id, actions=[source])

    async def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field by typing. Raises AssertionError when it does not hold the text then."""
        await self.click(selector)
        await self._until_of(selector, "(element) => element.matches(':focus')")
        await self.of(selector, "(element) => element.select()")
        await self.type(text)
        await self._until_of(selector, "(element, text) => element.value === text", text)

    async def _until_of(self, selector: str, expression: str, *arguments: Any) -> None:
        """Wait until a function of an element is true."""
        look = f"(selector, ...more) => {{ {_FIND} return ({expression})(find(selector), ...more); }}"
        await self.wait_for(look, selector, *arguments, of=f"{selector}: {expression}")

    async def viewport(self, width: int, height: int) -> None:
        """Set the size of the page in CSS pixels."""
        await self.connection.command(
            "browsingContext.setViewport", context=self.id, viewport={"width": width, "height": height}
        )

    async def screenshot(self, file: Path, *, origin: str = "viewport") -> None:
        """Write what is seen as PNG; with origin `document`, the whole page."""
        answer = await self.connection.command("browsingContext.captureScreenshot", context=self.id, origin=origin)
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
