"""Makes requests like Prometheus' HTTP client, by Go's rules, including those expected to be rejected. Never raises."""

from wizard.probes.attempts import answers, reaches, run, wait
from wizard.probes.causes import cause_of
from wizard.probes.curl import curl, curl_config, curl_reading, forward_command, forwarded_port, promtool_up
from wizard.probes.curl_differences import Difference, differences
from wizard.probes.health import Monitor
from wizard.probes.prometheus_api import Target, api_url, ask_prometheus
from wizard.probes.socket_deadline import TIMEOUT, Dial
from wizard.probes.tls import Trusts

__all__ = [
    "TIMEOUT",
    "Dial",
    "Difference",
    "Monitor",
    "Target",
    "Trusts",
    "answers",
    "api_url",
    "ask_prometheus",
    "cause_of",
    "curl",
    "curl_config",
    "curl_reading",
    "differences",
    "forward_command",
    "forwarded_port",
    "promtool_up",
    "reaches",
    "run",
    "wait",
]
