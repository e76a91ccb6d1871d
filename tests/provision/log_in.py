#!/usr/bin/env python3
"""Logs in by IMAP and by SMTP, sends a message to oneself and reads it back: log_in.py IMAP SMTP ADDRESS PASSWORD"""
import imaplib
import smtplib
import sys

imap_at, smtp_at, address, password = sys.argv[1:]


def place(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


with smtplib.SMTP(*place(smtp_at)) as smtp:
    smtp.login(address, password)
    smtp.sendmail(address, [address], f"From: {address}\r\nTo: {address}\r\nSubject: here I am\r\n\r\nhello\r\n")
with imaplib.IMAP4(*place(imap_at)) as imap:
    imap.login(address, password)
    _, (count,) = imap.select("INBOX")
    _, ((_, head), _) = imap.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")
print(int(count), head.decode().strip())
