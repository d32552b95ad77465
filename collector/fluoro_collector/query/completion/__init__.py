"""What could stand next in a filter expression, with the values that are stored."""
