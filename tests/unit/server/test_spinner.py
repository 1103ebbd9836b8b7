"""What a terminal shows while a command is at work."""

import io
import threading

import pytest

from server.cli.spinner import at_work

pytestmark = pytest.mark.unit


class Terminal(io.StringIO):
    """A terminal that says when something was written to it."""

    def __init__(self, *, tty: bool) -> None:
        super().__init__()
        self.tty = tty
        self.turned = threading.Event()

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str, /) -> int:
        written = super().write(text)
        if text.startswith("\r-"):
            self.turned.set()
        return written


def test_a_terminal_shows_that_the_command_is_at_work_and_is_clean_afterwards() -> None:
    terminal = Terminal(tty=True)
    with at_work("Listening", terminal):
        assert terminal.turned.wait(60)
    shown = terminal.getvalue()
    assert shown.startswith("\r| Listening\r/ Listening\r- Listening")
    assert shown.endswith("\r" + " " * len("| Listening") + "\r")


def test_nothing_is_shown_to_a_file_nor_after_quick_work() -> None:
    for out in (Terminal(tty=False), Terminal(tty=True)):
        with at_work("Listening", out):
            pass
        assert out.getvalue() == ""


def test_a_failure_comes_through() -> None:
    with pytest.raises(LookupError), at_work("Listening", Terminal(tty=True)):
        raise LookupError
