"""The patterns of `assets/error_kinds.yaml`: kinds of errors, told by the innermost phrase of a line alone.

A kind is the last resort, so it has to be certain. It counts only in a line that is an error by its own words, and only
where its phrase is the last link of the chain of errors: where a reason, a further link (`: dial tcp …`) or the field
with the error itself follows, the phrase says what was tried, not what went wrong.
"""

from __future__ import annotations

from typing import Final

_IS_ERROR: Final = (
    r"(?=[^\n]{0,600}?(?:\b(?:level|lvl|severity)=(?i:err|error|crit|critical|fatal|panic|emerg|alert)\b"
    r"|\[(?i:error|crit|emerg|alert|fatal)\]|\b(?:ERROR|FATAL|CRITICAL|SEVERE|PANIC|ERRO|FATA)\b|\bE! "
    r"|\b[Ee]rror(?:\(s\))?[: (=]|\b\w{1,60}(?:Error|Exception)\b|\b[Ff]ailed\b|\b[Ff]ailures?\b|\bfatal:|\bpanic:"
    r"|\b[Cc]ould not\b|\b[Cc]ouldn't\b|\b[Uu]nable to\b|\b[Cc]annot\b|\bFAILED\b|\bUNKNOWN(?: - |: )"
    r"|\b[Cc]onnection [Rr]e(?:fused|jected)\b|\b(?:doesn't|does not) (?:provide|exist|have|match|support)\b))"
)
_FURTHER: Final = (
    r"(?![^\n\x1f]{0,300}?(?:: (?:[A-Za-z][\w'-]{0,30} ){1,3}[A-Za-z]|: EOF\b|\((?:Caused|caused|error:)"
    r"|\b(?i:because|caused by|due to|while|waiting for|last error|denied)\b)"
    r"|[^\n]{0,900}?\x1f(?:err|error|reason)=)"
)


def kind_pattern(phrase: str) -> str:
    """The regular expression that finds a phrase of `error_kinds.yaml` where it may speak; its group `what` is the phrase.

    Args:
        phrase: a regular expression; small and capital letters count the same.
    """
    return rf'(?m)^{_IS_ERROR}[^\n]{{0,900}}(?P<what>(?i:{phrase}){_FURTHER}[^\n\x1f"]{{0,80}})'
