import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.errors import S3Error
from gateway.protocol.xml.reader import boolean, children, integer, read_document, text_of, texts


def check_malformed(body: bytes, max_elements: int = 256) -> None:
    with pytest.raises(S3Error) as caught:
        for _, child in children(read_document(body, "Root", max_elements=max_elements)):
            text_of(child)
    assert caught.value.code == "MalformedXML"


@pytest.mark.parametrize(
    "body",
    [
        b"<Root><A>x</A></Root>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Root xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n<A>x</A>\n</Root>',
        b'<Root xmlns="urn:any"><b:A xmlns:b="urn:other">x</b:A></Root>',
        b"<Root><!-- comment --><A>x</A><?pi?></Root>",
        b"<Root><A><![CDATA[x]]></A></Root>",
        b"<Root><A>&#120;</A></Root>",
        b"\xef\xbb\xbf<Root><A>x</A></Root>",
    ],
)
def test_well_formed_documents(body: bytes) -> None:
    assert texts(read_document(body, "Root"), ("A",), ("A",)) == {"A": "x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"text",
        b"<Root>",
        b"<Root><A></Root>",
        b"<Other/>",
        b"<Root/><Root/>",
        b"<Root><A>&nbsp;</A></Root>",
        b"<Root><A>\xff</A></Root>",
        b"<Root><A>\x00</A></Root>",
        b"<Root>text</Root>",
        b"<Root><A/>text</Root>",
        b"<Root><A><B/></A></Root>",
        b'<!DOCTYPE Root [<!ENTITY a "b">]><Root><A>&a;</A></Root>',
        b'<!DOCTYPE Root SYSTEM "file:///etc/passwd"><Root/>',
        "<?xml version='1.0' encoding='UTF-16'?><Root><A>x</A></Root>".encode("utf-16"),
        b"<a>" * 300 + b"</a>" * 300,
    ],
)
def test_malformed_documents(body: bytes) -> None:
    check_malformed(body)


def test_an_encoding_declaration_changes_nothing() -> None:
    body = "<?xml version='1.0' encoding='ISO-8859-1'?><Root><A>ä</A></Root>".encode()
    assert texts(read_document(body, "Root"), ("A",)) == {"A": "ä"}


def test_bounds() -> None:
    assert len(read_document(b"<Root>" + b"<A/>" * 100 + b"</Root>", "Root", max_elements=100)) == 100
    check_malformed(b"<Root>" + b"<A/>" * 300 + b"</Root>", max_elements=100)
    check_malformed(b"<Root>" + b"<A></A>" * 150 + b"</Root>", max_elements=100)
    check_malformed(b"<Root " + b" ".join(b"a%d = '>'" % i for i in range(200)) + b"/>", max_elements=100)
    check_malformed(b"<Root><A>" + b"x" * (3 << 20) + b"</A></Root>")


def test_flat_elements_are_strict() -> None:
    element = read_document(b"<Root><A>1</A><B>2</B></Root>", "Root")
    assert texts(element, ("A", "B", "C"), ("A",)) == {"A": "1", "B": "2"}
    twice = read_document(b"<Root><A/><A/></Root>", "Root")
    for wrong, allowed, required in ((element, ("A",), ()), (element, ("A", "B", "C"), ("C",)), (twice, ("A",), ())):
        with pytest.raises(S3Error, match="MalformedXML"):
            texts(wrong, allowed, required)


def test_texts_keep_their_white_space() -> None:
    assert texts(read_document(b"<Root><A> a\n </A></Root>", "Root"), ("A",)) == {"A": " a\n "}


def test_integers_and_booleans() -> None:
    assert [integer(text) for text in ("0", " 12 ", "007")] == [0, 12, 7]
    assert [boolean(text) for text in ("true", "1", "True", " false ", "0")] == [True, True, True, False, False]
    for text in ("", "-1", "1.0", "x", "٣", "9" * 19):
        with pytest.raises(S3Error, match="MalformedXML"):
            integer(text)
    for text in ("", "yes", "2"):
        with pytest.raises(S3Error, match="MalformedXML"):
            boolean(text)


@given(st.binary() | st.text(st.sampled_from("<>/Root A\"'&;=!?[]-x#1")).map(str.encode))
def test_nothing_but_s3_errors(body: bytes) -> None:
    try:
        element = read_document(body, "Root")
        texts(element, ("A",))
    except S3Error as error:
        assert error.code == "MalformedXML"
