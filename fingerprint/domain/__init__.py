"""Values and rules. Nothing in here imports the rest of the product or performs I/O."""
