import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentcare.evaluation import metrics
from parentcare.evaluation.metrics import (
    analyse,
    copied_share,
    describe_behaviour,
    drifts_to_chinese,
    mean_scores,
    repetition,
    score_names,
    score_overlap,
    score_predictions,
    script_shares,
)

ABSTRACT = "안정 애착 영아의 어머니는 마음 발화를 7.5%의 비율로 사용하여 불안정 집단의 5.4%보다 많았다."
WEATHER = "내일은 전국이 대체로 맑겠으나 밤부터 남해안에 비가 내리고 바람이 강하게 불겠습니다."
OVERLAP = ("rouge1", "rouge2", "rougeL", "chrf")


def test_identical_korean_scores_one():
    (scores,) = score_overlap([ABSTRACT], [ABSTRACT])
    assert [scores[name] for name in OVERLAP] == pytest.approx([1, 1, 1, 1])


def test_unrelated_korean_scores_near_zero():
    (scores,) = score_overlap([WEATHER], [ABSTRACT])
    assert max(scores[name] for name in OVERLAP) < 0.1 and scores["rouge2"] == 0
    (with_number,) = score_overlap([WEATHER + " p<.001"], [ABSTRACT + " p<.001"])
    assert with_number["rouge1"] < 0.25, "a shared p-value alone is not a good summary"


def test_rouge_by_hand():
    # 유아, 놀이, 오래, 하 against 유아, 놀이, 자주, 하: three of four, in order
    assert [form for form, _ in analyse(["유아가 놀이를 오래 했다."])["유아가 놀이를 오래 했다."]] == [
        "유아",
        "놀이",
        "오래",
        "하",
    ]
    (scores,) = score_overlap(["유아가 놀이를 오래 했다."], ["유아가 놀이를 자주 했다."])
    assert (scores["rouge1"], scores["rouge2"], scores["rougeL"]) == pytest.approx((3 / 4, 1 / 3, 3 / 4))


def test_each_score_is_named_with_its_tokenizer_and_versions():
    names = score_names()
    assert set(names) == set(OVERLAP)
    assert names["rougeL"].startswith("ROUGE-L F1 (Kiwi 0.")
    assert "rouge-score" in names["rouge1"] and "sacrebleu" in names["chrf"]


def test_decomposed_hangul_scores_like_composed():
    import unicodedata

    row = {"prediction": unicodedata.normalize("NFD", ABSTRACT), "reference": ABSTRACT, "text": ABSTRACT}
    (scores,) = score_predictions([row])
    assert scores["rougeL"] == pytest.approx(1) and scores["hangul_share"] > 0.9


def test_each_text_is_analysed_once(monkeypatch):
    seen = []
    kiwi = metrics.load_kiwi()

    class Counting:
        def tokenize(self, texts):
            seen.extend(texts)
            return kiwi.tokenize(texts)

    monkeypatch.setattr(metrics, "load_kiwi", Counting)
    row = {"prediction": WEATHER, "reference": ABSTRACT, "text": ABSTRACT, "ends_with_eos": True}
    scores = score_predictions([row, row])
    assert sorted(seen) == sorted([WEATHER, ABSTRACT])
    assert scores[0] == scores[1] and scores[0]["ends_with_eos"] is True


def test_a_copy_is_copied_and_not_novel_and_a_paraphrase_is_the_reverse():
    rows = [
        {"prediction": ABSTRACT[:40], "reference": ABSTRACT, "text": ABSTRACT},
        {"prediction": WEATHER, "reference": ABSTRACT, "text": ABSTRACT},
    ]
    copy, other = score_predictions(rows)
    assert copy["copied_share"] == 1 and copy["novelty"] < 0.2
    assert other["copied_share"] == 0 and other["novelty"] > 0.9


def test_only_runs_of_eight_characters_count_as_copied():
    assert copied_share("가나다라마바사", "가나다라마바사아") == 0
    assert copied_share("가나다라마바사아", "가나다라마바사아") == 1
    assert copied_share("가나다라 마바사\n아xyz", "가나다라\n마바사 아") == pytest.approx(10 / 13)


def test_a_loop_repeats_itself_and_an_abstract_does_not():
    assert describe_behaviour(ABSTRACT * 3, ABSTRACT, "")["repeats_itself"]
    assert describe_behaviour("네" * 40, ABSTRACT, "")["repeats_itself"]
    assert not describe_behaviour(ABSTRACT, ABSTRACT, "")["repeats_itself"]
    assert repetition("가나다라마바사아" * 2) == pytest.approx(1 / 9)


def test_nothing_said_is_empty_and_scores_zero():
    for prediction in ("", " \n", "…"):
        (scores,) = score_predictions([{"prediction": prediction, "reference": ABSTRACT, "text": ABSTRACT}])
        assert scores["empty"] and scores["rougeL"] == 0 and scores["repetition"] == 0
        assert not scores["chinese_drift"]


def test_drift_is_chinese_that_is_neither_gloss_nor_in_the_text():
    assert drifts_to_chinese("유아的社会性 발달을 보았다", "유아의 사회성")
    assert not drifts_to_chinese("효도(孝道)를 다룬 연구", "효도를 다룬 연구")
    assert not drifts_to_chinese("論語에 나온 말", "論語를 읽었다")
    shares = script_shares("유아 幼兒 ab 12")
    assert shares == {"hangul_share": 2 / 6, "han_share": 2 / 6, "latin_share": 2 / 6}


def test_mean_of_a_yes_or_no_is_its_rate():
    assert mean_scores([{"empty": True, "chrf": 0.5}, {"empty": False, "chrf": 0.7}]) == {"empty": 0.5, "chrf": 0.6}


@settings(max_examples=60)
@given(st.text(alphabet="가나다 ab1.幼\n", max_size=40), st.text(alphabet="가나다 ab1.幼\n", max_size=40))
def test_shares_stay_between_zero_and_one(prediction, text):
    behaviour = describe_behaviour(prediction, text, text)
    for name in ("repetition", "copied_share", "hangul_share", "han_share", "latin_share"):
        assert 0 <= behaviour[name] <= 1
    assert copied_share(text, text) in (0, 1)
