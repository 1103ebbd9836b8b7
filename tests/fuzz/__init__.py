"""Coverage-guided fuzzing of what reads strangers' text; `scripts/fuzz` runs it."""
