"""One byte changed in what is stored, at sampled places, and whether anything notices: `python -m tests.corruption`."""
