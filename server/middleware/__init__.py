"""Middlewares and request hooks, one per file; `server.app` sets their order."""
