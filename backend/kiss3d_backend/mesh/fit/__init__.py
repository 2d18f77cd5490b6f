"""The decimated mesh fitted to the views once more, by least squares."""
