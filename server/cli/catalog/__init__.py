"""`twitchaudio catalog`: the music that can be recognized without an account or a network."""
