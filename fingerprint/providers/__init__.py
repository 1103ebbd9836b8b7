"""What recognizers that ask somebody else share: samples, bounded calls, faults, rests, budgets."""
