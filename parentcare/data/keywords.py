"""Keywords of Korean academic prose: Kiwi nouns, compounds kept whole, counted in documents."""

import collections
import functools

# Compounds that Kiwi's own dictionary splits into parts which no longer touch.
USER_WORDS = ("영아기", "유아기", "아동기", "자기조절능력", "자기조절력", "상호작용", "누리과정", "어린이집")
# Words that every paper has because it is a paper; visible here so that it can be edited.
STOP_WORDS = frozenset(
    """
    연구 본연구 결과 방법 분석 대상 자료 수집 조사 검사 측정 실시 진행 참여 참여자 연구자 연구대상 설문 설문지
    면담 관찰 영향 관계 차이 요인 변인 변수 수준 정도 경우 과정 내용 의미 특성 상황 시간 시기 기간 이후 이전
    전체 각각 가운데 사이 평균 점수 표준편차 집단 비교 통제 유의 상관 효과 회귀 계수 비율 빈도 문항 척도 도구
    자체 이상 이하 미만 차례 필요 가능 중요 제시 확인 설명 이해 활용 제공 시사 논의 서론 제언 제한 한계 후속
    선행 기존 기초 목적 문제 질문 응답 사용 포함 구성 적용 경향 변화 증가 감소 가능성 반면 때문 정보 부분 방식
    방향 측면 순간 하나 모두 대부분 다음 처음 수 것 때 곳 점 명 개 회 주 년 월 일 분 초 세 등 중 간 후 전 내 외
    위 말 반 번 쪽 데 바 뿐 만 표 장 달 살 동안 자리 관련 시작 단위 횟수 나머지 조건 크기 까닭 실제 국내 모습
    기대 예상 모집 해석 대신 예측 표본 물음 간격 고려 모형 이름 마지막 모양 절반 순서 과제 여부 구별 사정 평소
    사례 반대 상대 평정 기준 근거 나이 가설 사실 짐작 초기 배정 되풀이 이유 양쪽 도움 생각 현장 서울 부산 대구
    인천 광주 대전 울산 경기 강원 충북 충남 전북 전남 경북 경남 제주 상태 유지 차지 검토 직후 유형 이듬해 절차
    범위 구조 질문지 나라 배치 하위 유무 다층모형 추적 출발점 학기 카파 계획 월령 성별 여아 남아 어른 소재 일부
    개월 주일 시점 차시 회기 사전 사후 자신 사람 우리 서로 오전 오후 하루 매주 매일 양상 보고 기록 이야기 장면
    범주 아이 방문 담임 활동 기관 그림
    """.split()
)
_NOUN_TAGS = {"NNG", "NNP", "XSN", "XPN"}
_PLURAL = "들"


@functools.cache
def load_kiwi():
    """Return the one Kiwi analyser of this process, with the user dictionary."""
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=2)
    for word in USER_WORDS:
        kiwi.add_user_word(word, "NNG", 3)
    return kiwi


def merge_nouns(tokens) -> list[str]:
    """Return the nouns of one analysis; nouns and suffixes whose character spans touch become one.

    "상호" + "작용" → "상호작용", "사회" + "성" → "사회성"; "또래 관계" stays two words, as written.
    """
    words, end = [], None
    for token in tokens:
        is_noun = token.tag in _NOUN_TAGS and token.form != _PLURAL
        if is_noun and words and token.start == end:
            words[-1] += token.form
        elif is_noun and token.tag != "XSN":
            words.append(token.form)
        else:
            end = None
            continue
        end = token.start + token.len
    return [word for word in words if len(word) > 1]


def count_documents(texts: list[str]) -> collections.Counter:
    """Return keyword → number of texts that have it, so that one long paper cannot own the chart."""
    counts: collections.Counter = collections.Counter()
    for tokens in load_kiwi().tokenize(texts):
        # sorted, so that words of equal counts come in the same order on every machine
        counts.update(sorted(set(merge_nouns(tokens)) - STOP_WORDS))
    return counts
