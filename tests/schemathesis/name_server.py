"""A name server that says at once that it can't answer (SERVFAIL, RFC 1035 §4.1.1), so that nobody waits for it.

Prints its address once it answers.
"""

import socket

FLAGS = b"\x81\x82"  # an answer to a recursive question: SERVFAIL

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    print("%s:%d" % server.getsockname(), flush=True)
    while True:
        query, client = server.recvfrom(512)
        # The identifier and the question come back; the counts of all other sections are none.
        end = query.find(b"\0", 12) + 5
        server.sendto(query[:2] + FLAGS + b"\0\1" + bytes(6) + query[12:end], client)
