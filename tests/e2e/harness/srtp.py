"""SRTP with AES counter mode and HMAC-SHA1-80 (RFC 3711, RFC 6188) on the `cryptography` package.

An opinion of its own about the protocol: it shares nothing with the Rust crate it checks.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TAG = 10
RTCP_TYPES = range(192, 224)


class SrtpError(Exception):
    pass


def _ctr(key, iv, data):
    encryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def derive(key, salt, label, length):
    """RFC 3711 §4.3.1 with a key derivation rate of zero."""
    x = bytearray(salt)
    x[7] ^= label
    return _ctr(key, bytes(x) + b"\0\0", bytes(length))


def is_rtcp(packet):
    return len(packet) >= 2 and packet[1] in RTCP_TYPES


class Context:
    """One direction of one session. Sequence numbers roll over per SSRC."""

    def __init__(self, key, salt):
        n = len(key)
        self.rtp_key, self.rtp_auth, self.rtp_salt = (
            derive(key, salt, 0, n), derive(key, salt, 1, 20), derive(key, salt, 2, 14))
        self.rtcp_key, self.rtcp_auth, self.rtcp_salt = (
            derive(key, salt, 3, n), derive(key, salt, 4, 20), derive(key, salt, 5, 14))
        self._highest = {}  # SSRC -> highest 48-bit index seen
        self._rtcp_index = 0

    @staticmethod
    def _iv(salt, ssrc, index):
        value = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
        return value.to_bytes(16, "big")

    def _guess_index(self, ssrc, seq):
        highest = self._highest.get(ssrc)
        if highest is None:
            return seq
        roc = highest >> 16
        candidates = [((r << 16) | seq) for r in (roc - 1, roc, roc + 1) if r >= 0]
        return min(candidates, key=lambda c: abs(c - highest))

    def unprotect_rtp(self, packet):
        if len(packet) < 12 + TAG:
            raise SrtpError(f"SRTP packet of {len(packet)} bytes")
        body, tag = packet[:-TAG], packet[-TAG:]
        ssrc, seq = int.from_bytes(body[8:12], "big"), int.from_bytes(body[2:4], "big")
        index = self._guess_index(ssrc, seq)
        want = hmac.new(self.rtp_auth, body + (index >> 16).to_bytes(4, "big"), hashlib.sha1).digest()
        if want[:TAG] != tag:
            raise SrtpError("SRTP authentication failed")
        self._highest[ssrc] = max(index, self._highest.get(ssrc, 0))
        header = 12 + 4 * (body[0] & 0x0F)
        if body[0] & 0x10:
            header += 4 + 4 * int.from_bytes(body[header + 2 : header + 4], "big")
        return body[:header] + _ctr(self.rtp_key, self._iv(self.rtp_salt, ssrc, index), body[header:])

    def protect_rtp(self, packet):
        ssrc, seq = int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")
        index = self._guess_index(ssrc, seq)
        self._highest[ssrc] = max(index, self._highest.get(ssrc, 0))
        body = packet[:12] + _ctr(self.rtp_key, self._iv(self.rtp_salt, ssrc, index), packet[12:])
        tag = hmac.new(self.rtp_auth, body + (index >> 16).to_bytes(4, "big"), hashlib.sha1).digest()
        return body + tag[:TAG]

    def unprotect_rtcp(self, packet):
        if len(packet) < 8 + 4 + TAG:
            raise SrtpError(f"SRTCP packet of {len(packet)} bytes")
        body, tag = packet[:-TAG], packet[-TAG:]
        if hmac.new(self.rtcp_auth, body, hashlib.sha1).digest()[:TAG] != tag:
            raise SrtpError("SRTCP authentication failed")
        word = int.from_bytes(body[-4:], "big")
        if not word & 0x8000_0000:
            raise SrtpError("SRTCP packet is not encrypted")
        ssrc = int.from_bytes(body[4:8], "big")
        iv = self._iv(self.rtcp_salt, ssrc, word & 0x7FFF_FFFF)
        return body[:8] + _ctr(self.rtcp_key, iv, body[8:-4])

    def protect_rtcp(self, packet):
        self._rtcp_index += 1
        ssrc = int.from_bytes(packet[4:8], "big")
        iv = self._iv(self.rtcp_salt, ssrc, self._rtcp_index)
        body = packet[:8] + _ctr(self.rtcp_key, iv, packet[8:])
        body += (0x8000_0000 | self._rtcp_index).to_bytes(4, "big")
        return body + hmac.new(self.rtcp_auth, body, hashlib.sha1).digest()[:TAG]
