// HAP-NodeJS as a peer of the data stream tests. Commands come on standard input, answers go to standard
// output, each a line of JSON; what a running connection tells later are lines of their own.
//
//   {"do": "encode", "value": V}                    -> {"hex": ...}
//   {"do": "decode", "hex": ...}                    -> {"value": V}
//   {"do": "accessory", "shared": hex, "active": bool, "configured": bool, "pieces": [lengths]}
//       -> {"started": true}; its recorder and its TCP server, until {"do": "stop"}
//   {"do": "setup", "write": base64}                -> {"response": base64}
//   {"do": "controller", "port": N, "shared": ..., "controller_salt": ..., "accessory_salt": ..., "streams": [ids]}
//       -> what each stream held; its connection code with the keys changed over
//
// Values keep their types: {"int": n} is written in the width HAP-NodeJS chooses, {"int8": n} to {"int64": n} as
// they say; {"float": bits}, {"float32": bits} and {"date": bits} are the hex of the number's bits. What it reads
// has JavaScript's types only: {"number": bits}, {"text": ...}, {"data": hex}, {"array": ...}, {"dict": ...}.
"use strict";

const crypto = require("crypto");
const { EventEmitter } = require("events");
const net = require("net");
const readline = require("readline");
const hap = require("hap-nodejs");

const INTEGERS = { int8: hap.Int8, int16: hap.Int16, int32: hap.Int32, int64: hap.Int64 };

function say(answer) {
  process.stdout.write(JSON.stringify(answer) + "\n");
}

// --- values

function fromBits(hex) {
  return Buffer.from(hex, "hex").readDoubleBE(0);
}

function toBits(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return bytes.toString("hex");
}

function value(json) {
  if (json === null || typeof json === "boolean") {
    return json;
  }
  const [[kind, content]] = Object.entries(json);
  switch (kind) {
  case "int": return content;
  case "float": return new hap.Float64(fromBits(content));
  case "float32": return new hap.Float32(fromBits(content));
  case "date": return new hap.SecondsSince2001(fromBits(content));
  case "uuid": return new hap.UUID(content.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));
  case "text": return content;
  case "data": return Buffer.from(content, "hex");
  case "array": return content.map(value);
  case "dict": return Object.fromEntries(content.map(([key, inner]) => [value(key), value(inner)]));
  default: return new INTEGERS[kind](content);
  }
}

function told(read) {
  if (read === null || typeof read === "boolean") {
    return read;
  } else if (read === undefined) {
    return { lost: true };
  } else if (typeof read === "number") {
    return { number: toBits(read) };
  } else if (typeof read === "string") {
    return { text: read };
  } else if (Buffer.isBuffer(read)) {
    return { data: read.toString("hex") };
  } else if (Array.isArray(read)) {
    return { array: read.map(told) };
  }
  return { dict: Object.entries(read).map(([key, inner]) => [{ text: key }, told(inner)]) };
}

function encode(command) {
  const writer = new hap.DataStreamWriter();
  hap.DataStreamParser.encode(value(command.value), writer);
  return { hex: writer.getData().toString("hex") };
}

function decode(command) {
  const bytes = Buffer.from(command.hex, "hex");
  const reader = new hap.DataStreamReader(bytes);
  const read = hap.DataStreamParser.decode(reader);
  return { value: told(read), left: bytes.length - reader.readerIndex };
}

// --- an accessory

function piece(length, index) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) {
    bytes[i] = (i * 7 + index + 1) & 0xff;
  }
  return bytes;
}

// Where its recorder asks for media and tells how recordings end.
class Delegate {
  constructor(lengths) {
    this.lengths = lengths;
  }

  updateRecordingActive() {}

  updateRecordingConfiguration() {}

  async* handleRecordingStreamRequest() {
    for (let i = 0; i < this.lengths.length; i++) {
      yield { data: piece(this.lengths[i], i), isLast: i + 1 === this.lengths.length };
    }
  }

  acknowledgeStream(stream) {
    say({ acknowledged: stream });
  }

  closeRecordingStream(stream, reason) {
    say({ closed: stream, reason });
  }
}

const OPTIONS = {
  prebufferLength: 4000,
  mediaContainerConfiguration: { type: 0, fragmentLength: 4000 },
  video: {
    type: hap.VideoCodecType.H264,
    parameters: { profiles: [hap.H264Profile.MAIN], levels: [hap.H264Level.LEVEL4_0] },
    resolutions: [[1920, 1080, 30]],
  },
  audio: {
    codecs: [{ type: hap.AudioRecordingCodecType.AAC_LC, samplerate: [hap.AudioRecordingSamplerate.KHZ_32] }],
  },
};

// What a home hub selected once (HAP-NodeJS's own test value).
const SELECTED = "AR0BBKAPAAACCAEAAAAAAAAAAwsBAQACBgEEoA8AAAIkAQEAAhIBAQECAQIDBNAHAAAEBKAPAAADCwECsAQCAkAGAwEYAxQBAQACDwEB"
  + "AQIBAAMBAwQEQAAAAA==";

class Accessory {
  constructor(command) {
    this.recorder = new hap.RecordingManagement(OPTIONS, new Delegate(command.pieces), new Set([1]));
    const service = this.recorder.recordingManagementService;
    if (command.active) {
      service.getCharacteristic(hap.Characteristic.Active).setValue(true);
    }
    if (command.configured) {
      service.getCharacteristic(hap.Characteristic.SelectedCameraRecordingConfiguration).setValue(SELECTED);
    }
    this.session = new EventEmitter();
    this.session.sessionID = "session";
    this.session.encryption = { sharedSecret: Buffer.from(command.shared, "hex") };
  }

  setup(command) {
    const management = this.recorder.dataStreamManagement;
    management.handleSetupDataStreamTransportWrite(command.write, (error, response) => {
      say(error ? { error: String(error) } : { response });
    }, this.session);
  }

  stop() {
    this.session.emit("closed");
    this.recorder.dataStreamManagement.destroy();
  }
}

// --- a controller

function keys(command) {
  const salt = Buffer.from(command.controller_salt + command.accessory_salt, "hex");
  const secret = Buffer.from(command.shared, "hex");
  const key = info => Buffer.from(crypto.hkdfSync("sha512", secret, salt, info, 32));
  return { down: key("HDS-Read-Encryption-Key"), up: key("HDS-Write-Encryption-Key") };
}

class Controller {
  constructor(command) {
    this.streams = command.streams;
    this.stories = [];
    this.socket = net.connect(command.port, "127.0.0.1");
    this.connection = new hap.DataStreamConnection(this.socket);
    clearTimeout(this.connection.helloTimer);
    // It is written for an accessory: what it sends is what the accessory receives here.
    const { down, up } = keys(command);
    this.connection.accessoryToControllerEncryptionKey = up;
    this.connection.controllerToAccessoryEncryptionKey = down;
    this.connection.connection = new EventEmitter();
    this.connection.state = 2; // ready
    this.connection.addProtocolHandler("dataSend", {
      eventHandler: { data: message => this.data(message), close: message => this.closed(message) },
    });
    this.connection.on("closed", () => say({ streams: this.stories }));
    this.connection.sendRequest("control", "hello", {}, (error, status) => this.hello(error, status));
  }

  hello(error, status) {
    if (error || status !== 0) {
      say({ error: `hello: ${error || status}` });
      return;
    }
    this.next();
  }

  next() {
    this.stream = this.streams.shift();
    if (this.stream === undefined) {
      this.connection.close();
      return;
    }
    this.story = { stream: this.stream, pieces: [] };
    this.stories.push(this.story);
    const open = { streamId: this.stream, type: "ipcamera.recording", target: "controller", reason: "record" };
    this.connection.sendRequest("dataSend", "open", open, (error, status, message) => {
      if (error || status !== 0) {
        this.story.refused = error ? String(error) : message.status;
        this.next();
      }
    });
  }

  data(message) {
    for (const packet of message.packets) {
      const { dataType, dataSequenceNumber, dataChunkSequenceNumber, isLastDataChunk, dataTotalSize } = packet.metadata;
      if (dataChunkSequenceNumber === 1) {
        this.parts = [];
        this.total = dataTotalSize;
      }
      this.parts.push(packet.data);
      if (isLastDataChunk) {
        const whole = Buffer.concat(this.parts);
        this.story.pieces.push({
          type: dataType,
          sequence: dataSequenceNumber,
          chunks: this.parts.map(part => part.length),
          sha256: crypto.createHash("sha256").update(whole).digest("hex"),
          total: this.total === whole.length,
        });
      }
    }
    if (message.endOfStream) {
      this.connection.sendEvent("dataSend", "ack", { streamId: this.stream, endOfStream: true });
      this.connection.sendEvent("dataSend", "close", { streamId: this.stream, reason: 0 });
      this.next();
    }
  }

  closed(message) {
    this.story.closed = message.reason;
    this.next();
  }
}

// --- commands

let accessory;

function obey(command) {
  switch (command.do) {
  case "encode": return encode(command);
  case "decode": return decode(command);
  case "accessory":
    accessory = new Accessory(command);
    return { started: true };
  case "setup":
    accessory.setup(command);
    return undefined;
  case "stop":
    accessory.stop();
    return { stopped: true };
  case "controller":
    new Controller(command);
    return undefined;
  default: throw new Error("unknown command " + command.do);
  }
}

readline.createInterface({ input: process.stdin }).on("line", line => {
  let answer;
  try {
    answer = obey(JSON.parse(line));
  } catch (error) {
    answer = { error: error.message };
  }
  if (answer !== undefined) {
    say(answer);
  }
}).on("close", () => process.exit(0));
