"""The harness's own SRTP and RTP code against published or separately computed bytes: a wrong ruler measures nothing."""

from harness import rtp, srtp, tlv

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
