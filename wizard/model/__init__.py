"""The words that every part of Firescreen shares: what a person wants, what a host has, what will change.

Frozen dataclasses of the standard library only. A change is data, so what was previewed is what is written, to
the byte.
"""

from wizard.model.changes import Change, MakeFolder, PlannedStep, RunService, WriteFile
from wizard.model.events import Event, HostState, RunRecord
from wizard.model.found import (
    WORKSPACE,
    Completed,
    Connection,
    Facts,
    FileState,
    Finding,
    FlagPlace,
    Forward,
    HostFacts,
    PathInfo,
    Service,
    Severity,
    Spare,
    Storage,
)
from wizard.model.picture import Arrow
from wizard.model.plan import Plan
from wizard.model.proof import Attempt, CertificateSummary, Probe, TlsReport
from wizard.model.wanted import (
    Answers,
    CertificateSpec,
    ClientAuth,
    ComponentSpec,
    HostSpec,
    OwnFiles,
    Protection,
    Question,
    RateLimit,
    Stack,
    UserSpec,
)

__all__ = [
    "WORKSPACE",
    "Answers",
    "Arrow",
    "Attempt",
    "CertificateSpec",
    "CertificateSummary",
    "Change",
    "ClientAuth",
    "Completed",
    "ComponentSpec",
    "Connection",
    "Event",
    "Facts",
    "FileState",
    "Finding",
    "FlagPlace",
    "Forward",
    "HostFacts",
    "HostSpec",
    "HostState",
    "MakeFolder",
    "OwnFiles",
    "PathInfo",
    "Plan",
    "PlannedStep",
    "Probe",
    "Protection",
    "Question",
    "RateLimit",
    "RunRecord",
    "RunService",
    "Service",
    "Severity",
    "Spare",
    "Stack",
    "Storage",
    "TlsReport",
    "UserSpec",
    "WriteFile",
]
