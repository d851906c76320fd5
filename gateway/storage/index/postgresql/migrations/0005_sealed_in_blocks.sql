-- Releases before this one cannot open the rows that this one seals, so they must not start on them.
COMMENT ON COLUMN object_version.sealed IS 'docs/formats/object.md, "Index row": rows of a block, or with a key of their own';
