"""The harness's own SRTP and RTP code against published or separately computed bytes: a wrong ruler measures nothing."""

import uuid

import pytest

from harness import hds, rtp, srtp, tlv

KEY = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")


def test_srtp_key_derivation_equals_rfc3711_b3():
    context = srtp.Context(KEY, SALT)
    assert context.rtp_key.hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert context.rtp_salt.hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert context.rtp_auth.hex().upper() == "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"


def test_srtp_and_srtcp_packets_equal_known_bytes():
    plain = bytes.fromhex("80e30001000003e8deadbeef65b80004")
    wire = bytes.fromhex("80e30001000003e8deadbeef6f15f9a5c1b8c0b062b4753e88a0")
    assert srtp.Context(KEY, SALT).protect_rtp(plain) == wire
    assert srtp.Context(KEY, SALT).unprotect_rtp(wire) == plain
    report = bytes.fromhex("80c80006deadbeefe000000080000000000003e80000000100000004")
    wire = bytes.fromhex(
        "80c80006deadbeeffffa1595070f8d8cf1f18afeacd0e673f22ff13280000001f8e6a9ec22781035b31d")
    assert srtp.Context(KEY, SALT).protect_rtcp(report) == wire
    assert srtp.Context(KEY, SALT).unprotect_rtcp(wire) == report


def test_srtp_follows_the_rollover():
    sender, receiver = srtp.Context(KEY, SALT), srtp.Context(KEY, SALT)
    for seq in (65534, 65535, 0, 1):
        plain = b"\x80\x63" + seq.to_bytes(2, "big") + bytes(4) + b"\0\0\0\x09" + b"payload"
        assert receiver.unprotect_rtp(sender.protect_rtp(plain)) == plain


def test_srtp_rejects_a_changed_packet():
    wire = bytearray(srtp.Context(KEY, SALT).protect_rtp(bytes(12) + b"x"))
    wire[12] ^= 1
    try:
        srtp.Context(KEY, SALT).unprotect_rtp(bytes(wire))
    except srtp.SrtpError:
        return
    raise AssertionError("a changed packet passed")


def test_opus_durations():
    assert rtp.opus_duration_ms(bytes.fromhex("48aabb")) == 20
    assert rtp.opus_duration_ms(bytes.fromhex("4b830203aabbccddeeff")) == 60


def test_tlv_splits_and_joins_at_255():
    for size in (0, 1, 254, 255, 256, 300, 510, 615):
        encoded = tlv.encode([(6, b"\x01"), (9, bytes(size)), (1, b"z")])
        assert tlv.items(encoded) == [(6, b"\x01"), (9, bytes(size)), (1, b"z")]
    assert tlv.encode([(9, bytes(300))])[:2] == b"\x09\xff"


def test_rtcp_reports_are_whole_words():
    compound = rtp.receiver_report(1, 2, 3)
    log = rtp.RtcpLog()
    log.read(compound, 0.0)
    assert log.types == [201, 202] and log.cnames == {"controller"}


# --- data streams

SECRET = bytes.fromhex("9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056")
HELLO = ("2ce347726571756573744568656c6c6f4870726f746f636f6c47636f6e74726f6c4269643373af819200000000e0",
         "0100002ebd1ce31c9ddb8f7dbfe8b02fa6a48c5143defd96180dfd88099f664205432b31d9395f59289342d7aa1352796d7eb77e7386cbb0885acc97"
         "7a3b2975eece")
HELLO_ANSWER = ("35e448726573706f6e73654568656c6c6f4870726f746f636f6c47636f6e74726f6c4269643373af8192000000004673746174757308e0",
                "01000037cbba85070354a8b5f86960316f83661755228acf0c9ff6f7e6d4e4f8a68c02d1a69bc9db27e8fd02552d695cd5b5a09660c07025efb5ed3c"
                "74b21f20a3563401043f23c21c6e61")
ID = hds.Wide(0x9281AF73)
DATA = ("1ee24870726f746f636f6c486461746153656e64456576656e744464617461e24873747265616d496409477061636b657473d1e244646174617800000008"
        "66726565486d65746164617461e5486461746154797065536d65646961496e697469616c697a6174696f6e526461746153657175656e63654e756d6265"
        "720957646174614368756e6b53657175656e63654e756d626572094f69734c617374446174614368756e6b014d64617461546f74616c53697a6510")


def test_data_stream_keys_and_frames_equal_known_bytes():
    keys = hds.derive(SECRET, bytes(range(32)), bytes(range(32, 64)))
    assert [key.hex() for key in keys] == ["266eda9bf60c892e1db981a5fb2fe2c918f986b1e02c0925d88f15e7610e6dd4",
                                           "57332bcc7c799baf28e9c52b6f9427a24de5304d58e89d35b92720ba6500c67b"]
    for key, (plain, wire) in zip(keys, (HELLO, HELLO_ANSWER)):
        assert hds.seal(key, 0, bytes.fromhex(plain)).hex() == wire
        assert hds.unseal(key, 0, bytes.fromhex(wire)).hex() == plain


def test_data_stream_messages_equal_known_bytes():
    hello = {"request": "hello", "protocol": "control", "id": ID}
    assert hds.payload(hello, {}).hex() == HELLO[0]
    answer = {"response": "hello", "protocol": "control", "id": ID, "status": 0}
    assert hds.payload(answer, {}).hex() == HELLO_ANSWER[0]
    assert hds.parse(bytes.fromhex(HELLO_ANSWER[0])) == (answer, {})
    header, message = {"protocol": "dataSend", "event": "data"}, {"streamId": 1, "packets": [{
        "data": bytes.fromhex("0000000866726565"), "metadata": {
            "dataType": "mediaInitialization", "dataSequenceNumber": 1, "dataChunkSequenceNumber": 1, "isLastDataChunk": True,
            "dataTotalSize": 8}}]}
    assert hds.payload(header, message).hex() == DATA
    assert hds.parse(bytes.fromhex(DATA)) == (header, message)


def test_data_stream_values():
    known = {"d309447465737402": [1, "test", False], "31ff01": 511, "36000000000000f03f": 1.0}
    for wire, value in known.items():
        assert hds.encode(value).hex() == wire and hds.decode(bytes.fromhex(wire)) == value
    references = {"d24161a0": ["a", "a"], "e34161416241 63e14164a0a301": {"a": "b", "c": {"d": "a"}, "d": True}}
    for wire, value in references.items():
        assert hds.decode(bytes.fromhex(wire)) == value
    for value in (None, -1, 39, 40, -2, 1 << 40, -(1 << 63), "", "x" * 33, "ä" * 300, b"", bytes(32), bytes(33), bytes(70000),
                  [0] * 14, [0] * 15, [], {}, {str(i): i for i in range(20)}, uuid.UUID(int=7), hds.Date(1.5)):
        assert hds.decode(hds.encode(value)) == value
    for broken in ("", "00", "03", "4461", "d1", "df08", "a0", "c105", "0808"):
        with pytest.raises((ValueError, IndexError)):
            hds.decode(bytes.fromhex(broken))
