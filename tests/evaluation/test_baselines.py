import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentcare.evaluation.baselines import (
    choose_sentences,
    extract_lead,
    extract_oracle,
    extract_textrank,
    lcs_length,
    rank_nodes,
    similarity_graph,
    split_sentences,
)
from parentcare.evaluation.comparison import BETTER, compare_systems
from parentcare.evaluation.metrics import score_overlap
from parentcare.manifest import REPOSITORY

TEXT = (
    "유아의 또래 놀이를 관찰하였다. 또래 놀이가 많은 유아는 어휘가 풍부하였다.\n"
    "급식은 11.5시에 나왔다. 어휘와 또래 놀이의 관련은 유아의 성별에 따라 다르지 않았다."
)


def test_a_decimal_point_ends_no_sentence_and_a_line_does():
    assert [s[:5] for s in split_sentences(TEXT)] == ["유아의 또", "또래 놀이", "급식은 1", "어휘와 또"]
    assert split_sentences("") == [] and split_sentences("끝이 없는 글") == ["끝이 없는 글"]


def test_lead_is_the_first_three_sentences():
    assert extract_lead([TEXT, "하나."]) == [TEXT.replace("\n", " ")[: TEXT.index(" 어휘와")], "하나."]


def test_textrank_leaves_out_the_sentence_that_shares_nothing():
    (extract,) = extract_textrank([TEXT])
    assert "급식" not in extract
    assert extract.startswith("유아의 또래 놀이를"), "in the text's order"


def test_textrank_weights_by_hand():
    # two shared words; log 3 + log 2 from the sets' sizes
    graph = similarity_graph([{"유아", "놀이", "또래"}, {"유아", "놀이"}, {"급식"}])
    assert graph[0, 1] == graph[1, 0] == pytest.approx(2 / (np.log(3) + np.log(2)))
    assert graph[2].sum() == 0 and np.trace(graph) == 0


def test_ranks_are_a_fixed_point_and_favour_the_hub():
    star = np.zeros((4, 4))
    star[0, 1:] = star[1:, 0] = 1
    ranks = rank_nodes(star)
    assert ranks.sum() == pytest.approx(4, abs=1e-4) and ranks.argmax() == 0
    # hub = .15 + .85 × 3 leaves, leaf = .15 + .85 × hub / 3
    assert ranks[0] == pytest.approx((0.15 + 0.85 * 3 * 0.15) / (1 - 0.85**2), abs=1e-3)


@pytest.mark.parametrize("text", ["", "한 문장뿐이다.", "...", "! ! !"])
def test_short_texts_are_no_error(text):
    assert extract_textrank([text]) == extract_lead([text])
    assert extract_oracle([text], ["요약"]) == [""]


def test_oracle_finds_the_reference_among_the_sentences():
    sentences = split_sentences(TEXT)
    assert extract_oracle([TEXT], [sentences[3]]) == [sentences[3]]
    assert extract_oracle([TEXT], [f"{sentences[1]} {sentences[3]}"]) == [f"{sentences[1]} {sentences[3]}"]
    assert choose_sentences([["가"], ["나"]], ["다"]) == []


@given(st.lists(st.sampled_from("가나다라"), max_size=12), st.lists(st.sampled_from("가나다라"), max_size=12))
def test_bitwise_length_is_that_of_the_table(first, second):
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    assert lcs_length(first, second) == table[-1][-1]


@settings(max_examples=20)
@given(st.permutations(range(4)))
def test_oracle_keeps_the_text_s_order(order):
    sentences = [["가", "나"], ["다", "라"], ["마", "바"], ["사", "아"]]
    reference = [token for i in order for token in sentences[i]]
    assert choose_sentences(sentences, reference) == sorted(choose_sentences(sentences, reference))


def test_order_known_by_construction_is_found():
    with open(REPOSITORY / "data" / "sample_papers.jsonl", encoding="utf-8") as file:
        papers = [json.loads(line) for line in file][:40]
    texts = [paper["sections"]["결과"] for paper in papers]
    references = [" ".join(s["text"] for s in paper["abstract"] if s["section"] == "결과") for paper in papers]
    lead, oracle = extract_lead(texts), extract_oracle(texts, references)
    shuffled = lead[1:] + lead[:1]
    ids = [paper["paper_id"] for paper in papers]
    scores = [[row["rougeL"] for row in score_overlap(system, references)] for system in (oracle, lead, shuffled)]
    for better, worse in itertools.pairwise(scores):
        assert compare_systems(better, worse, ids)["verdict"] == BETTER
