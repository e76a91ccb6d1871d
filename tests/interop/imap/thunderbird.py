"""Starts Thunderbird with a new profile for one account, and walks it through a day's work.

    thunderbird.py FOLDER IMAPS_PORT SUBMISSIONS_PORT SMTP_PORT USER PASSWORD FRIEND

Thunderbird runs without a display and is driven by its own automation (Marionette: JSON over a socket), which calls the
functions behind its buttons: thunderbird.js. FOLDER has certificate.pem and the letter six.eml, which is delivered while
Thunderbird looks on; the source of each letter that is read goes to FOLDER/NAME.read.
"""

import base64
import imaplib
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time

START_LIMIT_S = 60
STEP_LIMIT_S = 60
STEPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "thunderbird.js")


class Marionette:
    """Thunderbird's automation: each message is its length in decimal, a colon, and JSON."""

    def __init__(self, port, process):
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=STEP_LIMIT_S)
                break
            except OSError:
                assert process.poll() is None, "Thunderbird ended"
                assert time.monotonic() < deadline, "Thunderbird does not listen"
                time.sleep(0.05)
        self.stream = self.socket.makefile("rb")
        self.number = 0
        self.receive()
        self.command("WebDriver:NewSession", capabilities={})
        self.command("WebDriver:SetTimeouts", script=STEP_LIMIT_S * 1000)
        self.command("Marionette:SetContext", value="chrome")
        with open(STEPS) as file:
            self.steps = file.read()

    def receive(self):
        length = b""
        while not length.endswith(b":"):
            octet = self.stream.read(1)
            assert octet, "Thunderbird closed the connection"
            length += octet
        return json.loads(self.stream.read(int(length[:-1])))

    def command(self, name, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self.receive()
        assert number == self.number
        if error:
            sys.exit(f"{name}: {error}")
        return result

    def step(self, name, *arguments):
        """Runs a step of thunderbird.js and returns what it returns."""
        began = time.monotonic()
        script = f"""{self.steps}
            const [name, values, done] = [arguments[0], arguments[1], arguments[arguments.length - 1]];
            steps[name](...values).then(
                value => done({{ value: value ?? null }}),
                error => done({{ error: `${{error}} ${{error.stack}}` }}));"""
        answer = self.command(
            "WebDriver:ExecuteAsyncScript", script=script, args=[name, arguments], sandbox=None, newSandbox=True
        )["value"]
        if "error" in answer:
            sys.exit(f"{name}{arguments}: {answer['error']}")
        print(f"{time.monotonic() - began:5.1f} s {name}{arguments}"[:100])
        return answer["value"]


def settings(imaps, submissions, user, marionette):
    """A profile with an account as the account assistant would make it."""
    return {
        "marionette.port": marionette,
        "mail.accountmanager.accounts": "account1",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1",
        "mail.account.account1.identities": "id1",
        "mail.server.server1.type": "imap",
        "mail.server.server1.hostname": "127.0.0.1",
        "mail.server.server1.port": imaps,
        "mail.server.server1.userName": user,
        "mail.server.server1.name": user,
        # TLS from the start, and a password.
        "mail.server.server1.socketType": 3,
        "mail.server.server1.authMethod": 3,
        # Not before the password is there: it would be asked for.
        "mail.server.server1.login_at_startup": False,
        "mail.server.server1.check_new_mail": False,
        "mail.identity.id1.valid": True,
        "mail.identity.id1.useremail": user,
        "mail.identity.id1.fullName": "Alice",
        "mail.identity.id1.smtpServer": "smtp1",
        "mail.smtpservers": "smtp1",
        "mail.smtp.defaultserver": "smtp1",
        "mail.smtpserver.smtp1.hostname": "127.0.0.1",
        "mail.smtpserver.smtp1.port": submissions,
        "mail.smtpserver.smtp1.try_ssl": 3,
        "mail.smtpserver.smtp1.authMethod": 3,
        "mail.smtpserver.smtp1.username": user,
        # Nothing asks for anything, and nothing looks for anything outside.
        "app.donation.eoy.version.viewed": 999,
        "app.update.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "mail.spotlight.firstRunDone": True,
        # It takes no notice of an EXPUNGE that it is told while it fetches for an alert, or ahead of its user.
        "mail.biff.show_alert": False,
        "mail.biff.play_sound": False,
        "mail.server.default.autosync_offline_stores": False,
        "mailnews.start_page.enabled": False,
        "mail.rights.version": 1,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "services.settings.server": "data:,",
        "toolkit.telemetry.enabled": False,
    }


def expect(what, expected, found):
    assert found == expected, f"{what}: {expected!r} expected, not {found!r}"


def work(bird, folder, imaps, submissions, smtp, user, password, friend):
    def keep(mailbox, name):
        lines = base64.b64decode(bird.step("source", mailbox, name)).splitlines(keepends=True)
        with open(os.path.join(folder, name + ".read"), "wb") as file:
            # What is read from its own store has its notes in front.
            file.writelines(line for line in lines if not line.startswith(b"X-Mozilla-"))

    def on_server(mailbox, count):
        """Waits until the server has as many messages there: Thunderbird shows first what it does then."""
        deadline = time.monotonic() + STEP_LIMIT_S
        while f"MESSAGES {count})".encode() not in other.status(f'"{mailbox}"', "(MESSAGES)")[1][0]:
            assert time.monotonic() < deadline, f"{count} messages in {mailbox}"
            time.sleep(0.02)

    other = imaplib.IMAP4_SSL("127.0.0.1", imaps, ssl_context=ssl._create_unverified_context())
    other.login(user, password)
    with open(os.path.join(folder, "certificate.pem")) as file:
        certificate = "".join(line.strip() for line in file if "-" not in line)
    bird.step("trust", certificate, [imaps, submissions], user, password)
    found = bird.step("folders", 6)
    expect("the folders", ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"], sorted(found))
    for name, purpose in found.items():
        expect(name, {"INBOX": "Inbox", "Sent": "SentMail"}.get(name, name), purpose)
    expect("INBOX", ["five", "four", "one", "seven", "three", "two"], bird.step("update", "INBOX"))

    assert "A quiet letter." in bird.step("open", "INBOX", "one")
    assert "words" in bird.step("open", "INBOX", "three")
    for name in ("two", "three", "five"):
        keep("INBOX", name)
    # It stays selected, so that nothing else comes to be selected, and read, when its neighbours go.
    bird.step("open", "INBOX", "two")
    bird.step("star", "INBOX", "two")
    bird.step("create", "Made here")
    bird.step("move", "INBOX", ["three", "four"], "Made here", True)
    on_server("Made here", 2)
    bird.step("move", "INBOX", ["one"], "Archive", False)
    on_server("Archive", 1)
    bird.step("remove", "INBOX", ["five"])
    on_server("Trash", 1)
    bird.step("update", "Made here")
    bird.step("unread", "Made here", "three")

    # What happens on the server is seen while Thunderbird waits in INBOX.
    bird.step("update", "INBOX")
    with open(os.path.join(folder, "six.eml"), "rb") as file, smtplib.SMTP("127.0.0.1", smtp) as sender:
        sender.sendmail("sender@elsewhere.test", [user], file.read())
    bird.step("arrives", "INBOX", "six")
    other.select("INBOX")
    uid = other.uid("SEARCH", "HEADER", "Message-ID", '"<seven@example.test>"')[1][0].decode()
    other.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
    other.expunge()
    other.unselect()
    bird.step("vanishes", "INBOX", "seven")

    # Thunderbird closes the connection behind a search.
    expect("found", ["one"], bird.step("search", "INBOX", "letter", "quiet letter"))
    expect("found", ["two"], bird.step("search", "INBOX", "Über", "привет"))
    bird.step("send", friend, "Grüße", "From the bird, with an ü.\r\n")
    on_server("Sent", 1)
    other.logout()


def main():
    folder, imaps, submissions, smtp, user, password, friend = sys.argv[1:]
    imaps, submissions, smtp = int(imaps), int(submissions), int(smtp)
    profile = os.path.join(folder, "profile")
    os.mkdir(profile)
    with socket.create_server(("127.0.0.1", 0)) as free:
        marionette = free.getsockname()[1]
    with open(os.path.join(profile, "user.js"), "w") as file:
        for name, value in settings(imaps, submissions, user, marionette).items():
            file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
    command = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
    with open(os.path.join(folder, "thunderbird.log"), "wb") as log:
        process = subprocess.Popen(
            command + ["--profile", profile], stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "HOME": folder, "LC_ALL": "C.UTF-8"},
        )
    try:
        bird = Marionette(marionette, process)
        work(bird, folder, imaps, submissions, smtp, user, password, friend)
        bird.command("Marionette:Quit", flags=["eAttemptQuit"])
        process.wait(timeout=STEP_LIMIT_S)
    finally:
        # It has processes of its own.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


main()
