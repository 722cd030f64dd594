"""What is asked of a finished study: confirm, compare, reproduce, test, importance, boundary."""
