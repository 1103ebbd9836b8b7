"""What happened, in SQL: hits, job launches, sign-ins, refusals, and every change that an operator makes."""
