"""An index made anew from the footers of the blobs (docs/rebuild.md)."""
