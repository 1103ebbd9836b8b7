"""Identifications as the server offers them: start or join a job, follow it, and see what was played."""
