"""Imported first by the process that workers are forked from: a signal to the whole group is the server's to hear, not theirs.

systemd stops a service so, a shell its job, and a terminal that is closed. Were this process to end, all its workers would
look dead to the server.
"""

from __future__ import annotations

import signal

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
