"""Hosts on loopback that answer no connection: 127.1.X.Y, as many as are asked for, all at one port.

    deaf_hosts.py PORT COUNT    says "ready", and ends when its input does

Each has a listener whose queue is full, so that the kernel drops who asks, as a firewall would.
"""

import socket
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
held = []
for number in range(count):
    address = (f"127.1.{number // 250}.{number % 250 + 1}", port)
    held.append(socket.create_server(address, backlog=0))
    held.append(socket.create_connection(address))
print("ready", flush=True)
sys.stdin.read()
