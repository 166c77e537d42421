"""Recognises lines that only mention an error, in contrast to lines in which a program reports one.

Manuals, changelogs, commit subjects, source code and test output contain many error texts. `is_quotation` recognises
them by their form: a statement of a programming language, a commit, a test. `is_prose` recognises the markup of a
document and sentences about a possible case (if, will be) or about a change. A line from a logger is neither.
"""

from __future__ import annotations

import re
from typing import Final

from wizard.log_records import Record

# The result of a test, a line of a changelog, a command that searches a log, the text of an alert, the progress of a
# script.
_QUOTED: Final = re.compile(
    r"^\s{0,40}(?:[✓✔√]|ok \d{1,6} -|--- PASS:|\[ {1,8}OK {1,8}\])"
    r"|^\s{0,8}(?:[*-] )?\[(?:BUGFIX|ENHANCEMENT|FEATURE|CHANGE|SECURITY|PERF)\] "
    # A query of logs or of a database, an entry of a translation, a constant, a changelog.
    r"|^\s{0,20}(?:[a-z_]{2,30}(?: by \([\w, ]{1,80}\))? ?\({1,3}){0,3}\{ ?\w{1,60} ?[=!]~?[^}\n]{1,300}\} {0,4}(?:\|=|\|~|!=|!~|\| )"
    r"|^\s{0,20}(?:SELECT|select) [^\n]{1,400} (?:FROM|from) [^\n]{1,400} (?:LIKE|like|=|~) {0,4}'[^'\n]{1,200}'[^'\n]{0,40}$|^\s{0,8}msg(?:id|str) \""
    r"|^\s{0,20}(?:export )?(?:const|let|var|final|static) \w{1,60} = [\"'`]|^\s{0,20}define\([\"']\w{1,60}[\"'],|^\s{0,8}(?:Changelog|Release notes?): "
    # An option in a help text.
    r"|^\s{2,8}(?:-\w, )?--[a-z][\w-]{1,60}(?:[ =][A-Z<\[][^\s]{0,40})?\s{2,40}[\w(]"
    r"|^\s{0,8}(?:[^\s]{0,80}[$#%] )?(?:[^\n|]{1,200}\| ?)?(?:sudo )?(?:[ez]?grep|rg) -{0,2}[\w\"\']"
    r"|^\s{0,8}(?:[^\s]{0,80}[$#%>] )?(?:sudo )?(?:firescreen|echo|printf|vim?|nano|alias|export|git (?:commit|log|show)) [^:\n]"
    r"|^[\w./-]{1,80}\.(?:sh|envsh): (?:info|INFO): "
    r"|^\s{0,20}[a-zA-Z_:][\w:]{0,200}\{[^}\n]{0,900}\}\s{1,8}(?:[-+]?(?:\d|NaN|Inf)[\w.+-]{0,40}\s{0,4}(?:\d{1,14})?$|[-+*/<>=]|ignoring|on\b|by\b)"
    r"|^\s{0,20}(?:- )?(?:summary|description|message|title|text): [^\n]{0,900}\{\{"
)
# Source code. A traceback contains such lines, too, but has the error on a line of its own.
_SOURCE: Final = re.compile(
    r"^\s{0,80}(?:[+-]\s{0,40})?(?:"
    r"(?:from [\w.]{1,80} )?import [\w({*\"']|#(?:include|define|ifn?def) "
    r"|(?:raise|throw(?: new)?|croak|assert|expect|self\.assert\w{1,40}) ?[\w.]{0,80}\(|(?:assert|raise) (?:[\w.]{1,80}|[\"'][^\"'\n]{1,200}[\"'])(?:$| (?:not )?(?:==|!=|in|is|from) )"
    r"|(?:class|def|func|function|interface|struct) [\w.:()* ]{1,120}[(:{]"
    r"|(?:except|catch|elif|elsif|rescue|switch|while|with|case|if|for|return|yield|unless|else if)\b[^\n]{0,200}[:{;]\s{0,4}(?:#.*|//.*)?$"
    r"|except [A-Z][\w.]{1,80}:|case '\w|return [\w.]{1,80}\(|with [\w.]{1,80}\("
    r"|(?:log|logger|logging|console|fmt|errors|System\.\w{3})\.\w{1,20}\(|print(?:ln|f)?\(|_\(\""
    r"|(?:(?:const|let|var|my|our|static|final|export) )?(?!(?i:err|error|msg|message|reason|cause|errno)\b)[$@]?[A-Za-z_][\w.\[\]$'\"]{0,60} (?::=|\+?=) (?:[frbu]?[\"'(\[{]|[\w.]{1,60}\()"
    r"|[a-z_]{1,40}=[\w.]{1,60}\([\w., ]{0,60}'[^'\n]{1,200}'\)|[a-z_]{1,40}='[^'\n]{0,200}%s"
    r"|(?:[frbu]?'[^'\n]{1,300}'|[frbu]?\"[^\"\n]{1,300}\"(?=\)))[,)]{1,4}\s{0,4}$|[frbu]\"\"\"|\"\"\"\w"
    r"|_[a-z]\w{0,40}\.\w{1,80}[,;]?\s{0,4}$|[A-Z]\w{1,60},\s{0,4}$|'[A-Z]\w{1,60}', '"
    r"|\(?open ?\((?!\))|[A-Z_]{4,60} = \d{1,6}\b|@\w{1,40}\(|\[?\w{1,60}\]? = (?:true|false|None|null|\d{1,6});?$"
    r"|[\w.]{2,60}(?:, [\w.]{2,60}){1,9},?$|\w{1,40}\.\w{1,40}\([\"']|\(\"\w{1,20}\", \"|\"[A-Z]\w{1,60}\" ?: ?\{$"
    r")"
    r"|\.format\($|\.format\([\w.]{1,60}\)|%[sdrqvw][^\n\"']{0,80}[\"'](?:[,)]| %)|[\"']\$![\"']|: \$!|\b(?:or|\|\|) (?:die|croak) "
    r"|^\s{0,80}(?:\"[\w.-]{1,60}\" ?: ?)?\{ ?\"shape\"|^\s{0,80}\"shape\" ?:"
)
# Markup of documents: tables, references, literals with an explanation, elements of a manual page.
_MARKUP: Final = re.compile(
    r"^\s{0,40}\|[^\n]{1,900}\|\s{0,4}$|:(?:exc|class|meth|func|ref|doc|mod|attr|data):`|``[^`\n]{1,120}``"
    r"|^\s{0,20}[*-] `{1,2}[^`\n]{1,120}`{1,2}(?::|$| \(| -| \{)|C<[^>\n]{1,80}>|\"documentation\" ?:"
)
_CODE: Final = re.compile(r"`([^`\n]{1,900})`")
_COMMENT: Final = re.compile(r"^\s{0,40}(?:#|//|/\*|\*/|--|;|\.\\\"|REM)\s{1,8}(?=\S)")
_SCOPE: Final = (
    r"(?:(?!(?i:error|fatal|panic|warning): )[-\w./]{1,40}: |\[[\w./ -]{1,40}\] |\(?#\d{1,6}\)?:? ){0,2}"
)
_VERB: Final = (
    r"(?:fix(?:e[ds]|ing)?|add(?:ed|s)?|removed?|improved?|avoid(?:ed|s)?|prevent(?:ed|s)?|silenced?|renamed?|documented|clarify"
    r"|clarified|introduced?|rework(?:ed)?|refactor(?:ed)?|simplify|bump(?:ed)?|reverted|reduced?|updated?|allow(?:ed)?|handled?"
    r"|drop(?:ped)? support|use (?:common|an?|the|new)|do not|don't)\b"
)
# The description of a change: a commit subject, a line of a changelog.
_COMMIT: Final = re.compile(
    rf"^\s{{0,40}}(?:[*o+•-]{{1,2}}\s{{1,8}})?(?:[0-9a-f]{{7,40}} )?{_SCOPE}(?i:{_VERB}) (?!failed|error:)[\w\"'`(./-]"
)
_CHANGE: Final = re.compile(
    r"^\s{0,40}(?:[*o+•-]{1,2}\s{1,8}|[0-9a-f]{7,40}\s{1,8}|\d{4,7}\s{1,8}(?:\d{1,2}\.\d{1,2}\.\d{1,4}\s{1,8})?)?(?:[-\w./() ,*]{1,60}: |#\d{1,6}\)?:? )?"
    r"(?i:ensure[ds]?|emit(?:s|ted)?|print(?:s|ed)? (?!job)|correct(?:ed|s)?|throw|retry on|show|changed|make|support|report|return|check for|test for)"
    r" (?!failed|error:|failure)[\w\"'`(./-]"
    r"|^\s{0,20}(?:[*o+-]{1,2}|\d{5,7})\s{1,8}[#\w-]{1,40}: |^\s{0,20}#?\d{5,7}\s{1,8}\S|^\s{0,40}[*o-] [A-Z][^\n:]{10,300}[\w.)]$|\([0-9a-f]{7} [A-Z]"
)
# A sentence about what may happen, not about what happened.
_CASE: Final = re.compile(
    r"(?i)(?<!^)\b(?:if|whenever|unless|in case|for example|e\.g\.|i\.e\.|by default|such as|so that|rather than|instead of|used to)\b"
    r"|\b(?:will|would|might) (?:also |now |not |only |always |never )?(?:be|have|cause|return|throw|fail|raise|occur|result|abort|create|contain|use|say|check)\b"
    r"|\b(?:may|should) (?:also |not |only )?(?:be|cause|occur|abort)\b"
    r"|\b(?:is|are) (?:thrown|raised|ignored|described|considered|silently)\b"
    r"|\b(?:must|cannot) (?:be one of:?$|exceed \d)|\bone of: [a-zA-Z_-]{2,40}(?:, |\.)"
    r"|^\s{0,40}[•*-] (?:The|An?|Be|Do|It|They) [^\n]{1,300}$|^\s{4,40}(?:The|An?|This|In|To) [^\n:]{1,300}$"
    r"|`\w[^`\n]{0,60}` (?:is|are|cannot|object|and|does not|has)\b|^\s{0,20}(?:does|do|is|are|was|were|has|have) not? "
)
# Signs of a program's own message: a level, a time, an address, a chain of errors.
_LOGGED: Final = re.compile(
    r"\d\d:\d\d:\d\d|\b(?:level|lvl|severity|err|error|msg|message|status|code|errno|exit)=|^\s{0,8}\[|\x1f"
    r"|^\W{0,8}(?i:error|err|fatal|failed|failure|fail|warning|warn|panic|critical|unable|could not|couldn't|can't|cannot (?!exceed|be (?:used|set|combined))|curl|npm|ssh|kex|sudo|dial|get|post|put|denied"
    r"|unauthorized|forbidden|x509|tls|ssl|invalid|unknown|permission|connection|refused|access|caused by|exception|traceback|job for|unit)\b|^[EWN]: |^\* collected metric|^\s{0,40}\"(?:msg|message|error|reason|stderr|stdout|detail)\" ?:|^[a-z][\w.-]{1,30}: "
    r"|\b(?:\w{1,60}(?:Error|Exception)|[Ee]rror|ERROR|FAILED|FATAL|[Ff]ailed|WARN\w{0,4})\b[^\n:]{0,60}: |[:/]\d{2,5}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b|\bcurl: \("
    # curl -v and sudo.
    r"|^\* (?:NSS(?::| error)|schannel: |mbedTLS: |Private key does not match|Empty reply from|Received HTTP/0|Authentication problem\.)"
    r"| is not (?:in the sudoers file|allowed to run sudo on )|^Ensure the remote shell produces no output"
    r"|(?i:\b(?:exactly|at most|only) one of\b|: line \d)|^- Status: |SSL_ERROR_|^\s{0,4}\d{1,7} (?:error|warn|http|verbose|silly) |\bhas failed to\b|\bservice terminated unexpectedly\b|\b(?:exceeded|refused|denied|rejected|expired) (?:for|by|at|after)\b"
)


def is_quotation(record: Record) -> bool:
    """Whether a record has the form of a quotation: the result of a test, a command, source code, a commit."""
    text = record.text
    return bool(_QUOTED.search(text)) or (
        not record.program and bool(_SOURCE.search(text) or _COMMIT.search(text))
    )


def is_prose(record: Record) -> bool:
    """Whether a record is a sentence of a document, or a comment; within a log it belongs to the record before it."""
    text = record.text
    uncommented = _COMMENT.sub("", text)
    if (
        record.program
        or record.is_error
        or any(map(_LOGGED.search, (uncommented, *_CODE.findall(uncommented))))
    ):
        return False
    return uncommented != text or any(pattern.search(text) for pattern in (_MARKUP, _CHANGE, _CASE))
