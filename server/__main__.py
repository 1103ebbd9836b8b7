"""`python -m server` is the `twitchaudio` command."""

import os
import sys

from fingerprint.catalog.numpy_features import numpy_environment


def main() -> int:
    """Run the command line; also while it is still being loaded, Ctrl-C ends it without a traceback."""
    for name, value in numpy_environment().items():
        os.environ.setdefault(name, value)  # noqa: TID251 - written, not read: for NumPy, before it is loaded
    try:
        from server.cli import main as run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
