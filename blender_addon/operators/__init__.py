"""What a click does: take in the inputs, hand them over, return."""
