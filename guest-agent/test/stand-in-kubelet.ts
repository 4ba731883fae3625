// A stand-in for the kubelet, which needs a cluster: it speaks the device plugin API over its real Unix sockets. Its
// messages are written and read here by hand, field by field, as k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto numbers
// them, and not with the plugin's own description: a wrong number or type there is found.
import { join } from 'node:path';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';

type Fields = Map<number, (Buffer | number)[]>;

/** Protobuf, wire types 0 (varint) and 2 (length-delimited): all that this API has. */
export function readFields(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag & 7;
    if (type !== 0 && type !== 2) throw new Error(`wire type ${type}`);
    let value: Buffer | number = varint();
    if (type === 2) {
      const end = at + value;
      value = bytes.subarray(at, end);
      at = end;
    }
    const number = tag >>> 3;
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

/** A length-delimited field; short ones only. */
function field(number: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

const text = (fields: Fields, number: number): string => String(fields.get(number)?.[0] ?? '');
const parts = (fields: Fields, number: number): Fields[] =>
  (fields.get(number) ?? []).map((value) => readFields(value as Buffer));

const raw = (value: Buffer): Buffer => value;
const method = (path: string, responseStream = false) => ({
  ...{ path, requestStream: false, responseStream },
  ...{ requestSerialize: raw, requestDeserialize: raw },
  ...{ responseSerialize: raw, responseDeserialize: raw },
});

/** What a plugin registered as. */
export interface Registration {
  readonly version: string;
  readonly endpoint: string;
  readonly resourceName: string;
}

export class StandInKubelet {
  readonly registrations: Registration[] = [];
  /** Each list of devices that the plugin has told, as ID to health. */
  readonly listings: Record<string, string>[] = [];
  #plugin: Client | undefined;

  private constructor(
    private readonly folder: string,
    private readonly server: Server,
  ) {}

  /** Serves `kubelet.sock` in the folder. */
  static async start(folder: string): Promise<StandInKubelet> {
    const server = new Server();
    const kubelet = new StandInKubelet(folder, server);
    server.addService(
      { Register: method('/v1beta1.Registration/Register') },
      {
        Register: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
          const fields = readFields(call.request);
          const registration = {
            version: text(fields, 1),
            endpoint: text(fields, 2),
            resourceName: text(fields, 3),
          };
          kubelet.registrations.push(registration);
          kubelet.#dial(registration.endpoint);
          done(null, Buffer.alloc(0));
        },
      },
    );
    await new Promise<void>((resolve, reject) => {
      const address = `unix:${join(folder, 'kubelet.sock')}`;
      server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    return kubelet;
  }

  /** Allocates devices for containers; gives their CDI names. */
  async allocate(...containers: string[][]): Promise<string[][]> {
    const request = Buffer.concat(
      containers.map((ids) => field(1, Buffer.concat(ids.map((id) => field(1, id))))),
    );
    const answer = readFields(await this.#call('Allocate', request));
    return parts(answer, 1).map((container) => parts(container, 5).map((cdi) => text(cdi, 1)));
  }

  /** Whether the plugin wants any of the optional calls. */
  async options(): Promise<Fields> {
    return readFields(await this.#call('GetDevicePluginOptions', Buffer.alloc(0)));
  }

  close(): void {
    this.#plugin?.close();
    this.server.forceShutdown();
  }

  #dial(endpoint: string): void {
    this.#plugin?.close();
    this.#plugin = new Client(`unix:${join(this.folder, endpoint)}`, credentials.createInsecure());
    const path = '/v1beta1.DevicePlugin/ListAndWatch';
    const stream = this.#plugin.makeServerStreamRequest(path, raw, raw, Buffer.alloc(0));
    stream.on('error', () => undefined);
    stream.on('data', (bytes: Buffer) => {
      const devices = parts(readFields(bytes), 1).map((one) => [text(one, 1), text(one, 2)]);
      this.listings.push(Object.fromEntries(devices));
    });
  }

  #call(name: string, request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const path = `/v1beta1.DevicePlugin/${name}`;
      this.#plugin?.makeUnaryRequest(path, raw, raw, request, (error, answer) =>
        error ? reject(error) : resolve(answer as Buffer),
      );
    });
  }
}
