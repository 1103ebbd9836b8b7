"""What is learned from providers' answers: its evidence in SQL, and the catalog that follows from it."""
