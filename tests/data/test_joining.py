"""Lines become paragraphs, with a space at a break only where the author has one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentcare.data.joining import (
    count_habits,
    goes_on,
    is_korean,
    join_lines,
    join_paragraphs,
    own_spacing,
    space_beside_signs,
)
from parentcare.data.layout import Line

NO_HABITS = count_habits("")


def line(text: str, **changes) -> Line:
    place = {"page": 1, "left": 60, "y": 700, "right": 300, "size": 10, "column_left": 60, "column_right": 300}
    return Line(text, **place | {"is_full": True} | changes)


def test_words_broken_by_a_line_end_are_joined_and_parted_ones_stay_parted():
    lines = [
        "울음에 재빨리 반응하고 눈을 잘 맞추는 어머니라",
        "고 해서 그 자녀가 모두 안정된 애착을 보이는 것은",
        "아니다.",
    ]
    text = "울음에 재빨리 반응하고 눈을 잘 맞추는 어머니라고 해서 그 자녀가 모두 안정된 애착을 보이는 것은 아니다."
    assert join_lines([lines], "\n".join(lines)) == [text]


def test_the_authors_spacing_inside_lines_is_untouched():
    lines = ["연구대상은 만3세 유아 이었 으며 조사는", "두달 동안 하였다."]
    joined = join_lines([lines], "\n".join(lines))[0]
    assert joined.startswith(lines[0]) and joined.endswith(lines[1])


def test_the_paper_itself_decides_before_kiwi():
    assert own_spacing("이들의 상호", "작용을 보면", "그 상호작용이 늘었고 상호작용은", default=True) is False
    assert own_spacing("이들의 또래", "관계를 보면", "그 또래 관계가 좋고 또래 관계는", default=False) is True
    assert own_spacing("이들의 또래", "관계를 보면", "다른 말", default=True) is True


def test_a_space_glyph_at_the_break_is_a_space():
    assert join_lines([["상호 ", "작용은 중요하다."]], "") == ["상호 작용은 중요하다."]


@pytest.mark.parametrize(
    ("left", "right", "space"),
    [
        ("집단은", "120명이다", True),
        ("제", "3조에", False),
        ("모두 20", "23년에", False),
        ("maternal", "sensitivity", True),
        ("평균 5.4%", "(SD=3.6)이다", False),
        ("(SD=3.6)", "으로 높았다", False),
        ("(SD=3.6)", "그러나", True),
        ("참여하였다.", "그러나", True),
        ("모두 1,", "684명이", False),
        ("상관은 약했고,", "3명은", True),
        ("일치도는", ".84였다", True),
        ("평균은 3.", "5점이다", False),
        ("말하였다.", "3명은", True),
        ("이른바 ‘", "마음’을", False),
        ("아기의", "‘마음’을", True),
        ("이는 ‘마음’", "이라고", False),
    ],
)
def test_breaks_beside_signs_follow_the_rule(left, right, space):
    assert space_beside_signs(left, right, NO_HABITS) is space


def test_lines_broken_at_words_only_get_a_space_everywhere():
    words = "영아의 애착은 부모의 민감한 반응과 함께 자라며 그 모습은 가정마다 조금씩 다르게 나타난다고 한다".split()
    lines = [" ".join(words[i : i + 2]) for i in range(0, len(words), 2)] * 5
    assert join_lines([lines], "\n".join(lines)) == [" ".join(lines)]


@given(st.lists(st.text("가나다 abc12.,()%", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=6))
def test_joining_changes_nothing_but_spaces(lines):
    assert "".join(join_lines([lines], "\n".join(lines))[0].split()) == "".join("".join(lines).split())


def test_a_paragraph_ends_with_a_short_last_line():
    short = line("결과였다.", is_full=False, right=120)
    assert not goes_on([short], line("다음 문단이", y=684), 16)
    assert goes_on([line("이러한 연구의")], line("결과이다.", y=684), 16)


def test_an_indented_line_after_a_sentence_begins_a_paragraph():
    ended = line("결과가 그러하였다고 볼 수 있었다.")
    assert not goes_on([ended], line("한편 다른", left=70, y=684), 16)
    assert goes_on([ended], line("그러나 다른", y=684), 16)
    assert goes_on([line("끝나지 않은 연구의")], line("결과이다.", left=70, y=684), 16)


def test_a_paragraph_goes_on_in_the_next_column_and_on_the_next_page():
    last = line("것은 부모의 반", column=1, y=60)
    assert goes_on([last], line("응이다.", column=2, left=330, column_left=330, right=560, column_right=560, y=700), 16)
    assert goes_on([last], line("응이다.", page=2, y=700), 16)
    assert not goes_on([last], line("응이다.", column=1, y=700), 16)


def test_what_is_no_prose_goes_and_the_sentence_around_it_is_whole():
    lines = [
        line("부모의 반응은 영아의 애착에 큰 영"),
        line("양육태도", y=500, left=140, right=180, is_full=False, size=8),
        line("향을 준다고 한다.", y=684, is_full=False, right=200),
    ]
    assert join_paragraphs([lines], lines) == [["부모의 반응은 영아의 애착에 큰 영향을 준다고 한다."]]


def test_korean_is_told_by_its_letters():
    assert is_korean("평균은 3.5(SD=.5)였다")
    assert not is_korean("This is an abstract (초록).")
    assert not is_korean("123")
