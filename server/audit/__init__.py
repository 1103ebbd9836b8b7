"""The audit log, in SQL: requests, job launches, sign-ins, refusals, and every change that an operator makes."""
