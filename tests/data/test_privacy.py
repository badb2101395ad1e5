"""Personal data is masked by shape; statistics, pages and years are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.privacy import mask_personal_data


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("201123-3123456", "[주민등록번호]"),
        ("900101-1******", "[주민등록번호]"),
        ("9001011234567", "[주민등록번호]"),
        ("880505 - 5123456", "[주민등록번호]"),
        ("010-1234-5678", "[전화번호]"),
        ("01012345678", "[전화번호]"),
        ("02-123-4567", "[전화번호]"),
        ("02)6788-5533", "[전화번호]"),
        ("(031) 123-4567", "[전화번호]"),
        ("070-1234-5678", "[전화번호]"),
        ("+82-10-1234-5678", "[전화번호]"),
        ("+82 2 1234 5678", "[전화번호]"),
        ("0505-123-4567", "[전화번호]"),
        ("1588-0000", "[전화번호]"),
        ("1899-1234", "[전화번호]"),
        ("hong.gildong@example.ac.kr", "[이메일]"),
        ("hong@example.com", "[이메일]"),
    ],
)
def test_shapes_are_masked(text, mask):
    masked, counts = mask_personal_data(f"문의는 {text}로 한다.")
    assert masked == f"문의는 {mask}로 한다."
    assert counts == {mask: 1}


@pytest.mark.parametrize(
    "text",
    [
        "t(85)=2.43, p=.017, d=.55",
        "pp. 1588-1599",
        "1592-1598년",
        "2010-2015년에 1,684명",
        "3.5-4.2 사이",
        "ISSN 1225-1234",
        "2016-04-26",
        "가상학회지, 40(1), 130-147",
        "β=.021, 345-6789회",
        "1234567890123",
    ],
)
def test_numbers_of_papers_stay(text):
    assert mask_personal_data(text) == (text, {})


@given(st.text("0123456789-. ()@abc.가나", max_size=60))
def test_masking_twice_changes_nothing_more(text):
    masked, _ = mask_personal_data(text)
    assert mask_personal_data(masked)[0] == masked
