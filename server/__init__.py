"""The HTTP API, the website, the command line and the simulated Twitch."""
