from parentcare.data.keywords import STOP_WORDS, count_documents, load_kiwi, merge_nouns


def nouns(text: str) -> list[str]:
    return merge_nouns(load_kiwi().tokenize(text))


def test_touching_nouns_and_suffixes_stay_whole():
    assert {"상호작용", "사회성", "정서지능"} <= set(nouns("또래 상호작용과 사회성, 정서지능을 보았다."))


def test_words_written_apart_stay_apart():
    assert nouns("또래 관계가 좋다.") == ["또래", "관계"]


def test_the_plural_suffix_is_not_part_of_a_keyword():
    assert "아이들" not in nouns("아이들과 교사들이 놀았다.")


def test_documents_are_counted_not_tokens():
    counts = count_documents(["애착 애착 애착은 애착이다.", "애착과 기질을 보았다."])
    assert counts["애착"] == 2 and counts["기질"] == 1


def test_stop_words_are_left_out():
    assert not set(count_documents(["연구 결과 분석 대상의 영향 관계를 보았다."])) & STOP_WORDS
