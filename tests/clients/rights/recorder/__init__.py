"""Its directory goes on the PYTHONPATH of a gateway whose decisions are to be written down."""
