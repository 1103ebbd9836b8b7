"""The arguments of each command, apart from what does the work: help is shown without loading that."""
