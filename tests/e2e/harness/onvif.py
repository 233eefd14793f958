"""A simulated camera's ONVIF services, from the specification's wire format: device service, event service, pull points.

It is strict where cameras are: the password digest must be right by the camera's own clock and its nonce new, the
subscription's reference parameter must come back, requests after the subscription's end are refused.
"""

import asyncio
import base64
import datetime
import hashlib
import re
import secrets as random
import xml.etree.ElementTree as xml

from . import secrets

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
OURS = "http://camera.example/2026/events"

MOTION = "tns1:RuleEngine/CellMotionDetector/Motion"
INPUT = "tns1:Device/Trigger/DigitalInput"
VISITOR = "tns1:RuleEngine/MyRuleDetector/Visitor"


def local(element):
    return element.tag.rsplit("}", 1)[-1]


class Camera:
    """`auth`: "wsse", "digest" (HTTP) or None. `clock`: seconds by which its clock is ahead. `odd`: a way to misbehave."""

    def __init__(self, auth="wsse", clock=0, lifetime=None, odd=None, renews=True):
        self.auth, self.clock, self.lifetime, self.odd, self.renews = auth, clock, lifetime, odd, renews
        self.user, self.password = "onvif", "ov" + random.token_hex(8)
        secrets.remember("ONVIF password", self.password)
        self.port = 0
        self.asked = []  # names of operations, in their order
        self.refused = 0  # requests whose login was wrong
        self.subscriptions = {}
        self.nonces = set()
        self.state = {}  # topic -> item, told to every new subscription
        self.server = None
        self.writers = set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/onvif/device_service"

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self):
        """On the port it had before, if it had one."""
        self.server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        """As a power cut would end it."""
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        self.subscriptions.clear()
        await asyncio.sleep(0)

    def tell(self, topic, item, source=("Source", "VS_1")):
        """An event to everybody who is subscribed."""
        self.state[topic] = item, source
        for queue in self.subscriptions.values():
            queue.put_nowait(message(topic, "Changed", item, source))

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock)

    # --- HTTP

    async def _connection(self, reader, writer):
        self.writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(re.search(r"(?i)content-length: *(\d+)", head).group(1))
            body = await reader.readexactly(length)
            status, more, answer = await self._answer(head, body)
            if status:
                writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/soap+xml\r\n{more}"
                             f"Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _answer(self, head, body):
        envelope = xml.fromstring(body)
        request = envelope.find(f"{{{SOAP}}}Body")[0]
        name = local(request)
        self.asked.append(name)
        action = envelope.find(f"{{{SOAP}}}Header/{{{WSA}}}Action").text
        assert f'action="{action}"' in head and "application/soap+xml" in head, head
        if self.odd and name != "GetSystemDateAndTime":
            return await self._misbehave()
        if name != "GetSystemDateAndTime" and not self._login(head, envelope):
            self.refused += 1
            if self.auth == "digest":
                return 401, self._demand(), b""
            return 400, "", fault("ter:NotAuthorized", "Sender not Authorized")
        path = head.split()[1]
        answer = await getattr(self, f"_{name}")(path, envelope)
        return (200, "", answer) if b":Fault>" not in answer else (500, "", answer)

    async def _misbehave(self):
        if self.odd == "silent":
            await asyncio.sleep(60)
        answers = {
            "html": b"<html><body>It works!</body></html>",
            "bomb": b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 1000 + b'">]><x>' + b"&a;" * 1000 + b"</x>",
            "huge": b"<x>" + b"a" * 3_000_000 + b"</x>",
            "empty": soap(""),
            "deep": b"<a>" * 20000,
        }
        return (200, "", answers[self.odd]) if self.odd in answers else (0, "", b"")

    # --- who asks

    def _login(self, head, envelope):
        if self.auth is None:
            return True
        return self._digest(head) if self.auth == "digest" else self._token(envelope)

    def _token(self, envelope):
        token = envelope.find(f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{WSSE}}}UsernameToken")
        if token is None:
            return False
        nonce = base64.b64decode(token.find(f"{{{WSSE}}}Nonce").text)
        created = token.find(f"{{{WSU}}}Created").text
        password = token.find(f"{{{WSSE}}}Password")
        assert password.attrib["Type"].endswith("#PasswordDigest"), password.attrib
        right = base64.b64encode(hashlib.sha1(nonce + created.encode() + self.password.encode()).digest()).decode()
        age = abs((self.now() - datetime.datetime.fromisoformat(created)).total_seconds())
        fresh = nonce not in self.nonces and age < 30
        self.nonces.add(nonce)
        return fresh and token.find(f"{{{WSSE}}}Username").text == self.user and password.text == right

    def _demand(self):
        self.nonce = random.token_hex(8)
        return f'WWW-Authenticate: Digest realm="IP camera", qop="auth", nonce="{self.nonce}", opaque="7"\r\n'

    def _digest(self, head):
        found = re.search(r"(?im)^authorization: *digest (.*)$", head)
        if not found:
            return False
        given = {k.lower(): v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', found.group(1))}
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        secret = md5(f"{self.user}:IP camera:{self.password}")
        request = md5(f"POST:{head.split()[1]}")
        right = md5(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:auth:{request}")
        return given["nonce"] == getattr(self, "nonce", None) and given["response"] == right and given["opaque"] == "7"

    # --- operations

    async def _GetSystemDateAndTime(self, path, _):
        at = self.now()
        return soap(f"""<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>
            <tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone>
            <tt:UTCDateTime><tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute><tt:Second>{at.second}</tt:Second></tt:Time>
            <tt:Date><tt:Year>{at.year}</tt:Year><tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date></tt:UTCDateTime>
            </tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>""")

    async def _GetCapabilities(self, path, _):
        # The address that a camera behind NAT believes to have.
        return soap("""<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Events><tt:XAddr>http://10.255.255.1/onvif/events</tt:XAddr>
            <tt:WSPullPointSupport>true</tt:WSPullPointSupport></tt:Events></tds:Capabilities></tds:GetCapabilitiesResponse>""")

    async def _CreatePullPointSubscription(self, path, envelope):
        assert path == "/onvif/events", path
        time = envelope.find(".//{http://www.onvif.org/ver10/events/wsdl}InitialTerminationTime").text
        assert re.fullmatch(r"PT\d+S", time), time
        key = random.token_hex(3)
        queue = self.subscriptions[key] = asyncio.Queue()
        for topic, (item, source) in self.state.items():
            queue.put_nowait(message(topic, "Initialized", item, source))
        if self.lifetime:
            asyncio.get_running_loop().call_later(self.lifetime, lambda: self.subscriptions.pop(key, None))
        return soap(f"""<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>
            <wsa:Address>http://10.255.255.1/onvif/pull?x=1&amp;y=2</wsa:Address>
            <wsa:ReferenceParameters><o:SubscriptionId xmlns:o="{OURS}">{key}</o:SubscriptionId></wsa:ReferenceParameters>
            </tev:SubscriptionReference><wsnt:CurrentTime>2026-01-01T00:00:00Z</wsnt:CurrentTime>
            <wsnt:TerminationTime>2026-01-01T00:02:00Z</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>""")

    def _queue(self, path, envelope):
        assert path == "/onvif/pull?x=1&y=2", path
        key = envelope.find(f"{{{SOAP}}}Header/{{{OURS}}}SubscriptionId")
        assert key is not None and key.attrib[f"{{{WSA}}}IsReferenceParameter"] == "true", "the reference parameter"
        return key.text, self.subscriptions.get(key.text)

    async def _PullMessages(self, path, envelope):
        _, queue = self._queue(path, envelope)
        if queue is None:
            return fault("wsrf-r:ResourceUnknownFault", "The subscription has ended")
        limit = int(envelope.find(".//{http://www.onvif.org/ver10/events/wsdl}MessageLimit").text)
        messages = []
        try:
            messages.append(await asyncio.wait_for(queue.get(), 20))
            while not queue.empty() and len(messages) < limit:
                messages.append(queue.get_nowait())
        except asyncio.TimeoutError:
            pass
        return soap(f"""<tev:PullMessagesResponse><tev:CurrentTime>2026-01-01T00:00:00Z</tev:CurrentTime>
            <tev:TerminationTime>2026-01-01T00:02:00Z</tev:TerminationTime>{"".join(messages)}</tev:PullMessagesResponse>""")

    async def _Renew(self, path, envelope):
        if not self.renews or self._queue(path, envelope)[1] is None:
            return fault("ter:ActionNotSupported", "Optional Action Not Implemented")
        return soap("<wsnt:RenewResponse><wsnt:TerminationTime>2026-01-01T00:04:00Z</wsnt:TerminationTime></wsnt:RenewResponse>")

    async def _Unsubscribe(self, path, envelope):
        key, _ = self._queue(path, envelope)
        self.subscriptions.pop(key, None)
        return soap("<wsnt:UnsubscribeResponse/>")


def soap(body):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="{SOAP}" xmlns:wsa="{WSA}" xmlns:tds="http://www.onvif.org/ver10/device/wsdl"
 xmlns:tev="http://www.onvif.org/ver10/events/wsdl" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"
 xmlns:tns1="http://www.onvif.org/ver10/topics" xmlns:tt="http://www.onvif.org/ver10/schema"
 xmlns:ter="http://www.onvif.org/ver10/error"><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>""".encode()


def fault(code, reason):
    return soap(f"""<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:Sender</SOAP-ENV:Value><SOAP-ENV:Subcode>
        <SOAP-ENV:Value>{code}</SOAP-ENV:Value></SOAP-ENV:Subcode></SOAP-ENV:Code><SOAP-ENV:Reason>
        <SOAP-ENV:Text xml:lang="en">{reason}</SOAP-ENV:Text></SOAP-ENV:Reason></SOAP-ENV:Fault>""")


def message(topic, operation, item, source):
    return f"""<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">{topic}</wsnt:Topic>
        <wsnt:Message><tt:Message UtcTime="2026-01-01T00:00:00Z" PropertyOperation="{operation}"><tt:Source>
        <tt:SimpleItem Name="{source[0]}" Value="{source[1]}"/></tt:Source><tt:Data><tt:SimpleItem Name="{item[0]}" Value="{item[1]}"/>
        </tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"""
