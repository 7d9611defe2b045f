"""A mail server with a login: prints its port, then each mail as a line of JSON.

With a certificate and its key as arguments it takes logins and mail after STARTTLS alone."""

import asyncio
import json
import ssl
import sys
import threading
from email import message_from_bytes

from aiosmtpd.smtp import SMTP, AuthResult


class Printing:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": mail["Subject"],
            "text": mail.get_payload(decode=True).decode().replace("\r\n", "\n"),
            "encrypted": session.ssl is not None,
        }
        print(json.dumps(told), flush=True)
        return "250 taken"


def login(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"sync", b"secret")
    # Not handled: the server answers 535 by itself.
    return AuthResult(success=known, handled=False)


def connection():
    options = {"authenticator": login, "auth_required": True}
    if len(sys.argv) == 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        return SMTP(Printing(), tls_context=context, require_starttls=True, **options)
    return SMTP(Printing(), auth_require_tls=False, **options)


def begin():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server = loop.run_until_complete(loop.create_server(connection, "127.0.0.1", 0))
    print(server.sockets[0].getsockname()[1], flush=True)
    loop.run_forever()


threading.Thread(target=begin, daemon=True).start()
# Ends with whoever started it.
sys.stdin.read()
