"""Looking at all that is stored, for what is not what was written."""
