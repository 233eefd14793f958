#!/usr/bin/python3
"""A camera for the tests: an RTSP server with H.264 and sound, and a copy of every NAL unit it sends.

Runs with the system's Python (GObject bindings). Prints one JSON line with its port when it serves, then one per
client that plays. Usage: rtsp_server.py [--port N] [--record FILE] [--user NAME --password WORD]
[--size 1280x720] [--fps 30] [--sound pcmu|aac|opus|none] [--path /cam]
[--clip FILE: Annex B, one slice per picture, sent again and again in place of encoding]
"""

import argparse
import itertools
import json
import pathlib
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

SOUND = {
    "pcmu": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0",
    "aac": "audio/x-raw,rate=32000,channels=1 ! avenc_aac bitrate=48000 ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "opus": "audio/x-raw,rate=48000,channels=1 ! opusenc bitrate=24000 ! rtpopuspay name=pay1 pt=97",
}
LOUD = 2000
PAYLOADERS = {
    "h264": "rtph264pay name=pay0 pt=96 config-interval=-1",
    "h265": "rtph265pay name=pay0 pt=96 config-interval=-1",
}


def launch(options):
    video = picture(options)
    if options.sound == "none":
        return f"( {video} )"
    return f"( {video} {options.ticks} ! audio/x-raw,format=S16LE ! identity name=heard ! audioconvert ! {SOUND[options.sound]} )"


def picture(options):
    return f"{clip(options) if options.clip else encoded(options)} ! identity name=sent ! {PAYLOADERS[options.codec]}"


def clip(options):
    """No parser: it would put delimiters between the pictures."""
    return ("appsrc name=clip is-live=true do-timestamp=true format=time ! "
            f"video/x-h264,stream-format=byte-stream,alignment=au,framerate={options.fps}/1")


def encoded(options):
    width, height = options.size.split("x")
    return (
        f"videotestsrc is-live=true pattern={options.pattern} ! "
        f"video/x-raw,format=I420,width={width},height={height},framerate={options.fps}/1 ! identity name=seen ! "
        # The frame's time burned in, where the overlay is installed.
        f"{options.overlay} {encoder(options)}"
    )


def encoder(options):
    common = f"tune=zerolatency speed-preset=ultrafast bitrate={options.kbps} key-int-max={options.gop}"
    if options.codec == "h265":
        return f"x265enc {common} ! h265parse ! video/x-h265,stream-format=byte-stream,alignment=nal"
    return (f"x264enc {common} ! video/x-h264,profile={options.profile} ! h264parse ! "
            "video/x-h264,stream-format=byte-stream,alignment=nal")


def access_units(annexb):
    """A slice each, with the parameter sets and messages before it."""
    unit = b""
    for nal in annexb.split(b"\0\0\1")[1:]:
        unit += b"\0\0\0\1" + nal.rstrip(b"\0")
        if nal[0] & 0x1F in (1, 5):
            yield unit
            unit = b""


def play_clip(media, clip, fps):
    """Pushes the access units of a file by the clock, from the first one on and over again."""
    units = itertools.cycle(list(access_units(pathlib.Path(clip).read_bytes())))
    source, began = media.get_element().get_by_name("clip"), None

    def push(number):
        nonlocal began
        began = began or time.monotonic()
        if source.emit("push-buffer", Gst.Buffer.new_wrapped(next(units))) == Gst.FlowReturn.OK:
            wait = began + (number + 1) / fps - time.monotonic()
            GLib.timeout_add(max(0, round(wait * 1000)), push, number + 1)
        return GLib.SOURCE_REMOVE

    def wanted(*_):
        source.disconnect(handler)
        GLib.idle_add(push, 0)

    handler = source.connect("need-data", wanted)


def probe(media, name, look):
    """Calls `look(buffer, bytes)` for all that leaves the element."""
    def passing(_, info):
        buffer = info.get_buffer()
        ok, memory = buffer.map(Gst.MapFlags.READ)
        if ok:
            look(buffer, memory.data)
            buffer.unmap(memory)
        return Gst.PadProbeReturn.OK

    media.get_element().get_by_name(name).get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, passing)


def record(media, path):
    """Appends what the payloader gets, as Annex B."""
    out = open(path, "ab", buffering=0)
    probe(media, "sent", lambda _, data: out.write(data))


def tell_moments(media):
    """Says at which running time a picture was inverted, and a tone began."""
    dark, quiet = None, 0

    def seen(buffer, data):
        nonlocal dark
        luma = data[: len(data) // 2 : 997]
        was, dark = dark, sum(luma) / len(luma) < 128
        if was not in (None, dark):
            say(flip=buffer.pts / Gst.SECOND)

    def heard(buffer, data):
        nonlocal quiet
        samples = memoryview(data).cast("h")
        each = buffer.duration / len(samples)
        for at, sample in enumerate(samples):
            if abs(sample) > LOUD:
                if quiet > Gst.SECOND / 4:
                    say(beep=(buffer.pts + at * each) / Gst.SECOND)
                quiet = 0
            else:
                quiet += each

    probe(media, "seen", seen)
    probe(media, "heard", heard)


def configured(media, options):
    if options.record:
        record(media, options.record)
    if options.clip:
        play_clip(media, options.clip, options.fps)
    if options.moments:
        tell_moments(media)
    say(media="configured")


def authentication(user, password):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def say(**what):
    print(json.dumps(what), flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--record")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--codec", choices=PAYLOADERS, default="h264")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--gop", type=int, default=30)
    parser.add_argument("--kbps", type=int, default=1500)
    parser.add_argument("--clip")
    parser.add_argument("--profile", default="constrained-baseline")
    parser.add_argument("--pattern", default="ball")
    parser.add_argument("--ticks", default="audiotestsrc is-live=true wave=ticks volume=0.5")
    parser.add_argument("--moments", type=int, default=0)
    parser.add_argument("--sound", choices=[*SOUND, "none"], default="pcmu")
    return parser.parse_args()


def main():
    options = arguments()
    Gst.init(None)
    options.overlay = "timeoverlay !" if Gst.ElementFactory.find("timeoverlay") else ""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch(options))
    factory.set_shared(True)
    factory.connect("media-configure", lambda _, media: configured(media, options))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    if options.user:
        server.set_auth(authentication(options.user, options.password))
        factory.add_role_from_structure(permissions("viewer"))
    server.get_mount_points().add_factory(options.path, factory)
    server.connect("client-connected", lambda _, client: client.connect(
        "play-request", lambda *_: say(client="plays", at=time.time())))
    if not server.attach(None):
        raise SystemExit(f"port {options.port} is taken")
    say(port=server.get_bound_port())
    GLib.MainLoop().run()


def permissions(role):
    structure = Gst.Structure.new_empty(role)
    structure.set_value("media.factory.access", True)
    structure.set_value("media.factory.construct", True)
    return structure


main()
