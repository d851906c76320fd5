from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.protocol.xml.writer import document, element, escape, flag, quoted_etag


def test_elements() -> None:
    assert element("A", "b") == "<A>b</A>"
    assert element("A", 5) == "<A>5</A>"
    assert element("A", "") == "<A></A>"
    assert element("A", None) == ""
    assert (flag("A", True), flag("A", False)) == ("<A>true</A>", "<A>false</A>")
    assert quoted_etag("abc-2") == "<ETag>&quot;abc-2&quot;</ETag>"


def test_escaping() -> None:
    assert escape("plain/käy") == "plain/käy"
    assert escape("<a&b>\"'") == "&lt;a&amp;b&gt;&quot;'"
    assert escape("a\rb\tc\nd") == "a&#xd;b\tc\nd"
    assert escape("\x00\x01\x1f\ufffe\uffff") == "&#x0;&#x1;&#x1f;&#xfffe;&#xffff;"
    assert escape("a\ud800b") == "a\ufffdb"


def test_documents() -> None:
    assert document("R", ["<A/>"]) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><A/></R>'
    )
    assert document("R", [], namespace=None) == b'<?xml version="1.0" encoding="UTF-8"?>\n<R></R>'


LEGAL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r")
)


@given(LEGAL)
def test_every_legal_text_is_read_back(text: str) -> None:
    assert (etree.fromstring(document("R", [escape(text)])).text or "") == text


@given(st.text())
def test_no_text_breaks_out_of_its_element(text: str) -> None:
    written = escape(text)
    assert not set(written) & set('<>"\r\x00')
    written.encode()  # no lone surrogate is left
