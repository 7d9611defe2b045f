"""A mail server with a login: prints its port, then each mail as a line of JSON."""

import json
import sys
import threading
from email import message_from_bytes

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Printing:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": mail["Subject"],
            "text": mail.get_payload(decode=True).decode().replace("\r\n", "\n"),
        }
        print(json.dumps(told), flush=True)
        return "250 taken"


def login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"sync", b"secret"))


controller = Controller(
    Printing(), hostname="127.0.0.1", port=0, authenticator=login, auth_required=True, auth_require_tls=False
)
controller.ready_timeout = 30


def begin():
    # Port 0 cannot be probed by the controller: the loop is started by hand.
    import asyncio

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(controller.factory, "127.0.0.1", 0))
    print(server.sockets[0].getsockname()[1], flush=True)
    loop.run_forever()


threading.Thread(target=begin, daemon=True).start()
# Ends with whoever started it.
sys.stdin.read()
