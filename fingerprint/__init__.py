"""Capture and recognition: from a Twitch target to the song that plays there."""
