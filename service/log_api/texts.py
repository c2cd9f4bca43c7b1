"""
What people are told of failures, in their language.

Languages are chosen as HTTP does (RFC 9110 §12.5.4): the caller lists what it reads, by
quality; of `zh-CN` the first part counts. English is what is left.
"""

from collections.abc import Mapping

__all__ = ["LANGUAGES", "text"]

_EN = {
    "offset_out_of_range": "There is no record at offset {offset}: the log holds "
    "{lowest} up to, but not including, {next}.",
    "record_too_large": "The records are larger than the log takes.",
    "log_busy": "Too much waits to be written; nothing was stored. Try again.",
    "log_unreachable": "The log can't be reached; nothing was stored. Try again.",
    "log_full": "There is no space left; nothing was stored.",
    "writes_refused": "The disk failed: no records are taken until the service is "
    "started again. Those of this call may be stored or not.",
    "outcome_unknown": "No acknowledgement came: the records of this call may be "
    "stored or not.",
    "log_closed": "The log is closed; nothing was stored. Try again.",
    "log_damaged": "The record is damaged on disk and can't be read.",
    "invalid_request": "The request is not valid: {detail}.",
    "unknown_stream": "There is no such stream.",
    "unauthenticated": "This needs a client certificate or a bearer token that is "
    "known here.",
    "permission_denied": "You may not do this with this stream.",
    "rate_limited": "You ask too often; nothing was stored. Try again later.",
    "too_many_calls": "Too many calls are open; nothing was stored. Try again later.",
    "too_many_streams": "You have too many streams open.",
    "slow_consumer": "You read too slowly. Go on after the last record received.",
    "stopping": "The service is stopping. Go on after the last record received, or "
    "the last one acknowledged.",
    "timed_out": "It took too long. Records of this call may be stored or not.",
    "internal": "The service failed; its log has the cause under the request id "
    "{request_id}.",
}

_ZH = {
    "offset_out_of_range": "偏移量 {offset} 处没有记录：日志现有 {lowest} 至 {next}"
    "（不含）。",
    "record_too_large": "记录超出了日志允许的大小。",
    "log_busy": "等待写入的数据过多，本次未保存任何记录。请稍后重试。",
    "log_unreachable": "无法连接日志，本次未保存任何记录。请重试。",
    "log_full": "存储空间已满，本次未保存任何记录。",
    "writes_refused": "磁盘出现故障：服务重新启动之前不再接收记录。"
    "本次调用的记录可能已保存，也可能未保存。",
    "outcome_unknown": "未收到确认：本次调用的记录可能已保存，也可能未保存。",
    "log_closed": "日志已关闭，本次未保存任何记录。请重试。",
    "log_damaged": "该记录在磁盘上已损坏，无法读取。",
    "invalid_request": "请求无效：{detail}。",
    "unknown_stream": "不存在该流。",
    "unauthenticated": "需要本服务认可的客户端证书或令牌。",
    "permission_denied": "您无权对该流执行此操作。",
    "rate_limited": "请求过于频繁，本次未保存任何记录。请稍后重试。",
    "too_many_calls": "同时进行的调用过多，本次未保存任何记录。请稍后重试。",
    "too_many_streams": "您打开的流过多。",
    "slow_consumer": "读取过慢。请从收到的最后一条记录之后继续。",
    "stopping": "服务正在停止。请从收到的最后一条记录或最后一条已确认的记录之后继续。",
    "timed_out": "处理超时。本次调用的记录可能已保存，也可能未保存。",
    "internal": "服务发生故障；原因见服务日志，请求编号 {request_id}。",
}

_KO = {
    "offset_out_of_range": "오프셋 {offset}에 레코드가 없습니다. 로그의 범위는 "
    "{lowest} 이상 {next} 미만입니다.",
    "record_too_large": "레코드가 로그에서 허용하는 크기를 넘었습니다.",
    "log_busy": "쓰기 대기 중인 데이터가 너무 많아 아무것도 저장하지 않았습니다. "
    "다시 시도하십시오.",
    "log_unreachable": "로그에 연결할 수 없어 아무것도 저장하지 않았습니다. 다시 "
    "시도하십시오.",
    "log_full": "저장 공간이 없어 아무것도 저장하지 않았습니다.",
    "writes_refused": "디스크 장애로 서비스를 다시 시작할 때까지 레코드를 받지 "
    "않습니다. 이 호출의 레코드는 저장되었을 수도, 아닐 수도 있습니다.",
    "outcome_unknown": "확인을 받지 못했습니다. 이 호출의 레코드는 저장되었을 수도, "
    "아닐 수도 있습니다.",
    "log_closed": "로그가 닫혀 아무것도 저장하지 않았습니다. 다시 시도하십시오.",
    "log_damaged": "레코드가 디스크에서 손상되어 읽을 수 없습니다.",
    "invalid_request": "요청이 올바르지 않습니다: {detail}.",
    "unknown_stream": "그런 스트림이 없습니다.",
    "unauthenticated": "이 서비스가 아는 클라이언트 인증서나 토큰이 필요합니다.",
    "permission_denied": "이 스트림에 대한 권한이 없습니다.",
    "rate_limited": "요청이 너무 잦아 아무것도 저장하지 않았습니다. 나중에 다시 "
    "시도하십시오.",
    "too_many_calls": "열린 호출이 너무 많아 아무것도 저장하지 않았습니다. 나중에 "
    "다시 시도하십시오.",
    "too_many_streams": "열어 둔 스트림이 너무 많습니다.",
    "slow_consumer": "읽기가 너무 느립니다. 마지막으로 받은 레코드 다음부터 "
    "계속하십시오.",
    "stopping": "서비스를 멈추는 중입니다. 마지막으로 받았거나 확인된 레코드 "
    "다음부터 계속하십시오.",
    "timed_out": "시간이 초과되었습니다. 이 호출의 레코드는 저장되었을 수도, 아닐 "
    "수도 있습니다.",
    "internal": "서비스에 장애가 발생했습니다. 원인은 서비스 로그의 요청 번호 "
    "{request_id}에 있습니다.",
}

LANGUAGES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "en": ("en-US", _EN),
    "zh": ("zh-CN", _ZH),
    "ko": ("ko-KR", _KO),
}
"""Locale and sentences of each language."""

_LONGEST = 200
"""Characters of what the caller lists that are looked at."""


def text(
    reason: str, accept_language: str, values: Mapping[str, str]
) -> tuple[str, str]:
    """
    Return the locale and the sentence for *reason*.

    Args:
        reason: Key of the sentence.
        accept_language: What the caller reads, as in HTTP's header.
        values: What the sentence tells.
    """
    locale, sentences = LANGUAGES[_preferred(accept_language)]
    return locale, sentences[reason].format_map(values)


def _preferred(accept_language: str) -> str:
    best, preferred = 0.0, "en"
    for part in accept_language[:_LONGEST].split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if language in LANGUAGES and quality > best:
            best, preferred = quality, language
    return preferred


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
