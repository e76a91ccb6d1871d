"""What Schemathesis does not know by itself: how a message is sent."""

import schemathesis


@schemathesis.serializer("message/rfc822")
def message(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
