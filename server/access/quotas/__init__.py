"""Quotas: rate limits, slots for concurrent jobs, and the admission that takes both."""
