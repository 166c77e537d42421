"""Makes the patterns of `assets/error_kinds.yaml`: general kinds of errors, recognised by one phrase of a line.

A kind is used only when no other table matches, so a match must be certain. The line must report an error by its own
words, and the phrase must be the last error of the chain: where a reason, a further error (`: dial tcp …`) or the field
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
_NO_FURTHER_ERROR: Final = (
    r"(?![^\n\x1f]{0,300}?(?:: (?:[A-Za-z][\w'-]{0,30} ){1,3}[A-Za-z]|: EOF\b|\((?:Caused|caused|error:)"
    r"|\b(?i:because|caused by|due to|while|waiting for|last error|denied)\b)"
    r"|[^\n]{0,900}?\x1f(?:err|error|reason)=)"
)


def kind_pattern(phrase: str) -> str:
    """Makes the regular expression for a phrase of `error_kinds.yaml`; its group `what` captures the phrase.

    Args:
        phrase: a regular expression, matched without regard to case.
    """
    return rf'(?m)^{_IS_ERROR}[^\n]{{0,900}}(?P<what>(?i:{phrase}){_NO_FURTHER_ERROR}[^\n\x1f"]{{0,80}})'
