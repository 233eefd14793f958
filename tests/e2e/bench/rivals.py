"""The same work by others: command lines of GStreamer's own elements and of ffmpeg."""

import base64
import os

from harness import paths

MTU = 1378  # the largest UDP payload, on every side
TAG = 10


def key():
    return os.urandom(30)


def gst(*words):
    """A pipeline that ends when killed."""
    return ["gst-launch-1.0", "-q", *" ".join(words).split()]


def gst_env():
    return {**os.environ, "GST_PLUGIN_PATH": str(paths.TARGET / "release")}


def rtsp_source(url):
    return f"rtspsrc location={url} protocols=tcp latency=0 ! rtph264depay ! h264parse"


def file_source(path):
    return f"filesrc location={path} ! qtdemux ! h264parse"


def own_sink(port, more="", mtu=MTU):
    return f"! hapsrtpsink host=127.0.0.1 port={port} srtp-key={key().hex()} payload-type=99 ssrc=7 mtu={mtu} {more}"


def stock_sink(port, sync="false", secret=None, mtu=MTU):
    """`rtph264pay ! srtpenc ! udpsink`; `sync=true` where the source does not run in real time by itself."""
    return (f"! rtph264pay pt=99 mtu={mtu - TAG} config-interval=-1 ! srtpenc key={(secret or key()).hex()} "
            f"! udpsink host=127.0.0.1 port={port} sync={sync} async=false")


def rtpbin_sink(port, sync="false"):
    """The same with RTCP by `rtpbin`, protected too."""
    return (f"! rtph264pay pt=99 mtu={MTU - TAG} config-interval=-1 ! bin.send_rtp_sink_0 "
            f"rtpbin name=bin srtpenc name=enc key={key().hex()} "
            f"bin.send_rtp_src_0 ! enc.rtp_sink_0 enc.rtp_src_0 "
            f"! udpsink host=127.0.0.1 port={port} sync={sync} async=false "
            f"bin.send_rtcp_src_0 ! enc.rtcp_sink_0 enc.rtcp_src_0 "
            f"! udpsink host=127.0.0.1 port={port} sync=false async=false")


def tee(source, sinks):
    """One source and several sinks that wait for nobody."""
    branches = [f"t. ! queue {sink}" for sink in sinks]
    return f"{source} ! tee name=t " + " ".join(branches)


def ffmpeg(source, ports, *before, secret=None, mtu=MTU):
    """One ffmpeg, one input, an SRTP output per port."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", *before, "-i", str(source)]
    for port in ports:
        command += ["-map", "0:v", "-c", "copy", "-payload_type", "99", "-f", "rtp",
                    "-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80",
                    "-srtp_out_params", base64.b64encode(secret or key()).decode(),
                    f"srtp://127.0.0.1:{port}?pkt_size={mtu}"]
    return command


def ffmpeg_rtsp(url, ports, secret=None):
    return ffmpeg(url, ports, "-rtsp_transport", "tcp", secret=secret)


def ffmpeg_null(source, *before):
    return ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", *before, "-i", str(source),
            "-map", "0:v", "-c", "copy", "-f", "null", "-"]
