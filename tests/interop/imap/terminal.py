"""Runs a program in a terminal of its own, for programs that insist on one.

    terminal.py SECONDS [--when TEXT KEYS]... PROGRAM ARGUMENT...

When the program shows the first TEXT (or TEXT|OTHER, either), the first KEYS are pressed; then the second TEXT is waited
for, and so on. A lone "y" or "q" is pressed again while the program is silent for three seconds and shows nothing of what
is waited for: alpine throws away what was typed before it drew a question, and draws it first. When it has not ended after
SECONDS, it is ended, and what it showed last is printed.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

LINES, COLUMNS = 50, 120


def main():
    seconds, *command = sys.argv[1:]
    answers = []
    while command[0] == "--when":
        answers.append((command[1].encode(), command[2].encode()))
        del command[:3]
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    shown, seen, deadline, pressed = b"", 0, time.monotonic() + int(seconds), b""
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 3)[0]:
            if pressed in (b"y", b"q"):
                os.write(terminal, pressed)
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has closed it.
            piece = b""
        if not piece:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            break
        shown += piece
        if answers and any(text in shown[seen:] for text in answers[0][0].split(b"|")):
            seen = len(shown)
            pressed = answers.pop(0)[1]
            os.write(terminal, pressed)
    else:
        os.kill(pid, signal.SIGKILL)
        status = f"no end in {seconds} s"
    if status != 0:
        screen = re.sub(rb"\x1b[\[()][0-9;?]*[ -/]*[@-~]", b"\n", shown[-20000:])
        screen = re.sub(rb"[\x00-\x09\x0b-\x1f\n]+", b"\n", screen)
        sys.exit(f"{command[0]}: {status}\n{screen.decode(errors='replace')[-6000:]}")


main()
