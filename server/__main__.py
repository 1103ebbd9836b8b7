"""`python -m server` is the `twitchaudio` command."""

import sys


def main() -> int:
    """Run the command line; also while it is still being loaded, Ctrl-C ends it without a traceback."""
    try:
        from server.cli import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
