# SPDX-License-Identifier: Apache-2.0
"""The API over HTTPS as a browser or a program uses it.

    who = Api(gw.admin, gw.root_ca)
    who.login("ann", PASSWORD)
    status, answer = who.call("POST", "/devices", {"name": "pump-1"})
"""

import http.client
import json
import socket
import ssl


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)


class Api:
    """One caller: an API token, the cookie and the word of a session, or nothing."""

    def __init__(self, port, root_ca, host="127.0.0.1", source=None):
        self.port, self.host, self.source = port, host, source
        self.context = ssl.create_default_context(cafile=str(root_ca))
        self.cookie = self.page = self.token = ""

    def connection(self, timeout):
        return http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=timeout,
                                           source_address=(self.source, 0) if self.source else None)

    def request(self, method, path, body=None, headers=(), timeout=30):
        """One exchange; the path from the root. The answer, whatever its status."""
        link = self.connection(timeout)
        fields = {"Cookie": self.cookie, "X-Gatehouse-Page": self.page,
                  "Authorization": f"Bearer {self.token}" if self.token else ""}
        fields = {k: v for k, v in {**fields, **dict(headers)}.items() if v}
        if isinstance(body, dict):
            body = json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        try:
            link.request(method, path, body, fields)
            return Answer(link.getresponse())
        finally:
            link.close()

    def call(self, method, path, body=None, **options):
        """(status, JSON) of a resource below /api/v1."""
        answer = self.request(method, "/api/v1" + path, body, **options)
        return answer.status, answer.json()

    def take(self, answer):
        """Becomes the session that this answer opened."""
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        self.page = answer.json()["page"]
        return answer

    def login(self, name, password, **more):
        answer = self.request("POST", "/api/v1/session", {"name": name, "password": password, **more})
        assert answer.status == 201, answer.body
        return self.take(answer)


class SocketConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Local(Api):
    """The same over the control socket, where the kernel says who asks."""

    def __init__(self, path):
        self.path = str(path)
        self.cookie = self.page = self.token = ""

    def connection(self, timeout):
        return SocketConnection(self.path, timeout)
