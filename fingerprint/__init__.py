"""Capturing sound from a Twitch target and recognizing the song that plays in it."""
