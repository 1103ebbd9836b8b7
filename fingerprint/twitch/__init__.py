"""Twitch's own interfaces: from a target to the address of its sound."""
