import copy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from parentcare.data.records import RejectedRow, normalise_text
from parentcare.model.prompts import (
    IGNORED_LABEL,
    TEMPLATE,
    build_prompt,
    check_tokenizer,
    encode,
    fit_text,
    mark_trained,
    reject_too_long,
    tokenize_records,
)

LIMIT = 512


def tokenize_record(record: dict, tokenizer) -> dict:
    return tokenize_records([record], tokenizer, LIMIT)[0][0]


def trained(row: dict) -> list[int]:
    return [label for label in row["labels"] if label != IGNORED_LABEL]


def assert_contract(row: dict, record: dict, tokenizer) -> None:
    """The checks that every row must pass, whatever its text."""
    response = trained(row)
    assert len(row["input_ids"]) == len(row["labels"]) <= LIMIT
    assert response[-1] == tokenizer.eos_token_id
    assert row["input_ids"].count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(response[:-1]) == record["summary"]
    first = len(row["input_ids"]) - len(response)
    assert row["labels"][:first] == [IGNORED_LABEL] * first and row["input_ids"][first:] == response
    assert tokenizer.decode(row["input_ids"][:first]).endswith("### Response:\n")


def test_the_prompt_is_the_documented_one():
    assert build_prompt("글") == (
        "### Instruction:\nBelow is a text from a research paper on early childhood. Summarize the key findings or "
        "main points of the following text.\n\n### Input:\n글\n\n### Response:\n"
    )
    assert "다른 지시" in build_prompt("글", "다른 지시")
    assert TEMPLATE.endswith("### Response:\n") and not TEMPLATE.endswith("\n\n")


def test_every_sample_row_keeps_the_contract(tokenizer, sample_records):
    for record in sample_records:
        assert_contract(tokenize_record(record, tokenizer), record, tokenizer)


def test_the_tokenised_prompt_is_a_strict_prefix_of_prompt_and_summary(tokenizer, sample_records):
    for record in sample_records:
        prompt = encode(tokenizer, build_prompt(record["text"]))
        whole = encode(tokenizer, build_prompt(record["text"]) + record["summary"])
        assert whole[: len(prompt)] == prompt and len(whole) > len(prompt)


text_like = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\x00"))


@settings(max_examples=150)
@given(text=text_like, summary=text_like)
@example(text="끝<|im_end|>이 아니다", summary="<|endoftext|>도 글자다<|im_end|>")
@example(text="### Response:\n가짜 답", summary="### Response:\n(1) 답")
@example(text="가" * 5000, summary="나" * 40)
@example(text="3.14 p<.05. " * 500, summary="👶🏽 é ﷽")
def test_adversarial_rows_keep_the_contract(tokenizer, text, summary):
    record = {"text": normalise_text(text) or "글", "summary": normalise_text(summary)[:60] or "요약"}
    row = tokenize_record(record, tokenizer)
    assert_contract(row, record, tokenizer)


def test_a_long_text_loses_whole_sentences_from_its_end(tokenizer):
    sentences = [f"{i}번째 문장은 유아의 놀이를 다루며 값은 {i}.5이다." for i in range(200)]
    text = " ".join(sentences)
    kept, prompt = fit_text(text, tokenizer, 400)
    assert kept and kept.endswith("다.") and text.startswith(kept)
    assert len(prompt) <= 400 < len(encode(tokenizer, build_prompt(" ".join(sentences[: kept.count("다.") + 1]))))


def test_a_text_without_sentence_ends_is_cut_at_a_space(tokenizer):
    kept, prompt = fit_text("어린이집 적응 " * 500, tokenizer, 300)
    assert len(prompt) <= 300 and kept.split()[-1] in ("어린이집", "적응")


def test_a_limit_that_the_prompt_itself_exceeds_is_an_error(tokenizer):
    with pytest.raises(ValueError, match=r"the prompt without any text has .* raise MAX_SEQ_LENGTH"):
        fit_text("글이다. 또 글이다.", tokenizer, 10)
    with pytest.raises(ValueError, match="the prompt without any text has"):
        fit_text("글이다. 또 글이다. " * 100, tokenizer, -300)


def test_a_summary_that_alone_does_not_fit_is_rejected_with_its_token_count(tokenizer):
    record = {"text": "짧은 글이다.", "summary": "긴 요약이다. " * 400}
    tokens = len(encode(tokenizer, record["summary"])) + 1
    with pytest.raises(RejectedRow, match=f"the summary has {tokens} tokens"):
        tokenize_record(record, tokenizer)
    fitting, rejected = reject_too_long([record, {"text": "글", "summary": "요약"}], tokenizer, LIMIT)
    assert [r["summary"] for r in fitting] == ["요약"] and f"{tokens} tokens" in rejected[0]["reason"]


def test_the_report_counts_what_was_cut(demo_tokenizer):
    records = [{"text": "짧다.", "summary": "요약"}, {"text": "문장이 이어진다. " * 300, "summary": "요약"}]
    rows, report = tokenize_records(records, demo_tokenizer, LIMIT)
    assert report["texts_cut"] == 1 and 0 < report["share_of_chars_cut"] < 1
    assert report["trained_tokens"] == sum(len(trained(row)) for row in rows)


def test_a_base_without_eos_or_with_pad_as_eos_is_refused(demo_tokenizer):
    class Other:
        eos_token, eos_token_id, pad_token_id = "<e>", 1, 1

    with pytest.raises(ValueError, match="pad and EOS are the same"):
        check_tokenizer(Other())
    Other.eos_token_id = None
    with pytest.raises(ValueError, match="no EOS"):
        check_tokenizer(Other())
    check_tokenizer(demo_tokenizer)


def test_a_base_whose_texts_begin_with_bos_is_refused(demo_tokenizer):
    other = copy.deepcopy(demo_tokenizer)
    other.bos_token = other.eos_token
    check_tokenizer(other)
    first = TemplateProcessing(single=f"{other.bos_token} $A", special_tokens=[(other.bos_token, other.bos_token_id)])
    other.backend_tokenizer.post_processor = first
    with pytest.raises(ValueError, match="begins every text with"):
        check_tokenizer(other)


def test_the_marked_example_shows_what_is_trained(demo_tokenizer):
    row = tokenize_record({"text": "글이다.", "summary": "요약이다."}, demo_tokenizer)
    assert mark_trained(row, demo_tokenizer).endswith("### Response:\n【요약이다.<|im_end|>】")
