"""Pages joined are the whole listing: for every prefix, delimiter, marker and page size, of every kind of listing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.in_process import Store, child, children, decoded, root, upload_id_of
from tests.properties.model import listed
from tests.properties.strategies import DELIMITERS, KEYS, PAGE_SIZES, PREFIXES, names

MAX_PAGES = 60
ENTRIES = ("Contents", "Version", "DeleteMarker", "Upload")

QUERIES = st.lists(st.tuples(PREFIXES, DELIMITERS, names(0, 3), PAGE_SIZES), min_size=2, max_size=5)
FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def pages(
    store: Store, bucket: str, query: Mapping[str, str], size: int, following: Callable[[Element], Mapping[str, str]]
) -> list[Element]:
    """All pages; `following` tells from one what to ask for the next. Each but the last one is full."""
    found: list[Element] = []
    while len(found) < MAX_PAGES:
        answer = store.ask("GET", f"/{bucket}", {**query, "encoding-type": "url"})
        assert answer.status == 200, answer.body
        page = root(answer)
        found.append(page)
        count = len(children(page, *ENTRIES, "CommonPrefixes"))
        if child(page, "IsTruncated") != "true":
            assert count <= size
            return found
        assert count == size
        query = {**query, **following(page)}
    raise AssertionError("pages without end")


def keys_of(found: list[Element]) -> list[str]:
    return [decoded(child(each, "Key")) for page in found for each in children(page, *ENTRIES)]


def ids_of(found: list[Element], name: str) -> list[tuple[str, str | None]]:
    return [(decoded(child(each, "Key")), child(each, name)) for page in found for each in children(page, *ENTRIES)]


def prefixes_of(found: list[Element]) -> list[str]:
    return [decoded(child(each, "Prefix")) for page in found for each in children(page, "CommonPrefixes")]


def after_token(page: Element) -> dict[str, str]:
    return {"continuation-token": child(page, "NextContinuationToken") or ""}


def after_marker(page: Element) -> dict[str, str]:
    """Version 1 of the listing: NextMarker with a delimiter, else the last key is where the next page goes on."""
    told = child(page, "NextMarker")
    return {"marker": decoded(child(children(page, "Contents")[-1], "Key") if told is None else told)}


def after_version(page: Element) -> dict[str, str]:
    """Without a version where the page ended in a common prefix, or in the last version of a key."""
    version_id = child(page, "NextVersionIdMarker")
    return {"key-marker": decoded(child(page, "NextKeyMarker"))} | (
        {} if version_id is None else {"version-id-marker": version_id}
    )


def after_upload(page: Element) -> dict[str, str]:
    told = child(page, "NextUploadIdMarker")
    return {"key-marker": decoded(child(page, "NextKeyMarker")), "upload-id-marker": told or ""}


@FEW
@given(keys=st.sets(KEYS, max_size=12), queries=QUERIES)
def test_objects(store: Store, keys: set[str], queries: list[tuple[str, str, str, int]]) -> None:
    bucket = store.new_bucket()
    for key in keys:
        assert store.ask("PUT", f"/{bucket}/{key}").status == 200
    for prefix, delimiter, after, size in queries:
        expected = listed(list(keys), prefix, delimiter, after)
        asked = {"prefix": prefix, "delimiter": delimiter, "max-keys": str(size)}
        of_version_2 = {**asked, "list-type": "2", "start-after": after}
        found = pages(store, bucket, of_version_2, size, after_token)
        assert (keys_of(found), prefixes_of(found)) == expected
        assert sum(int(child(page, "KeyCount") or 0) for page in found) == len(expected[0]) + len(expected[1])
        found = pages(store, bucket, {**asked, "marker": after}, size, after_marker)
        assert (keys_of(found), prefixes_of(found)) == expected


@FEW
@given(puts=st.lists(st.tuples(KEYS, st.booleans()), max_size=14), queries=QUERIES)
def test_versions(store: Store, puts: list[tuple[str, bool]], queries: list[tuple[str, str, str, int]]) -> None:
    bucket = store.new_bucket()
    document = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert store.ask("PUT", f"/{bucket}", {"versioning": ""}, body=document).status == 200
    versions: dict[str, list[str]] = {}
    for key, is_marker in puts:
        answer = store.ask("DELETE" if is_marker else "PUT", f"/{bucket}/{key}")
        versions.setdefault(key, []).insert(0, answer.headers["x-amz-version-id"])
    for prefix, delimiter, after, size in queries:
        shown, prefixes = listed(list(versions), prefix, delimiter, after)
        asked = {"versions": "", "prefix": prefix, "delimiter": delimiter, "max-keys": str(size), "key-marker": after}
        found = pages(store, bucket, asked, size, after_version)
        assert ids_of(found, "VersionId") == [(key, version_id) for key in shown for version_id in versions[key]]
        assert prefixes_of(found) == prefixes


@FEW
@given(keys=st.lists(KEYS, max_size=10), queries=QUERIES)
def test_uploads(store: Store, keys: list[str], queries: list[tuple[str, str, str, int]]) -> None:
    bucket = store.new_bucket()
    uploads: dict[str, set[str]] = {}
    for key in keys:
        begun = upload_id_of(store.ask("POST", f"/{bucket}/{key}", {"uploads": ""}))
        uploads.setdefault(key, set()).add(begun)
    for prefix, delimiter, after, size in queries:
        shown, prefixes = listed(list(uploads), prefix, delimiter, after)
        asked = {"uploads": "", "prefix": prefix, "delimiter": delimiter, "max-uploads": str(size), "key-marker": after}
        found = pages(store, bucket, asked, size, after_upload)
        assert keys_of(found) == [key for key in shown for _ in uploads[key]]
        assert set(ids_of(found, "UploadId")) == {(key, upload_id) for key in shown for upload_id in uploads[key]}
        assert prefixes_of(found) == prefixes
