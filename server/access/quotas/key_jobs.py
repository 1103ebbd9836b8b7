"""How many jobs an API key may have at once where its operator set no number."""

from typing import Final

KEY_JOBS: Final = 5
