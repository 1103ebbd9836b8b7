"""A simulated Twitch, and songs for it, so that everything can be tried and tested without the real Twitch."""
