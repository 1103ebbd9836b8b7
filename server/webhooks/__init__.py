"""Webhooks: what was heard and what was answered, sent to addresses that holders of API keys name."""
