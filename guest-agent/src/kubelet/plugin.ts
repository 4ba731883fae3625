// The device plugin: serves the kubelet, and registers with it whenever it begins anew.
import { type FSWatcher, watch } from 'node:fs';
import { chmod, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  credentials,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { SCANOUT_KIND } from '@scanbridge/hydra/api';
import type { Logger } from 'pino';
import { Backoff } from '../backoff.js';
import {
  type AllocateRequest,
  type AllocateResponse,
  API_VERSION,
  type Device,
  DevicePlugin,
  Registration,
} from './grpc.js';
import { ScanoutPool, type ScanoutPoolOptions } from './scanout-pool.js';

/** Where the kubelet looks for plugins. */
export const KUBELET_FOLDER = '/var/lib/kubelet/device-plugins';
/** Name of our socket there. */
export const ENDPOINT = 'scanbridge.sock';
const KUBELET = 'kubelet.sock';
/** The kubelet answers a registration within this time [ms]. */
const REGISTER_LIMIT = 5000;
/** The kubelet's messages are a few hundred bytes [bytes]. */
const MAX_MESSAGE = 64 * 1024;
/** Streams of ListAndWatch at a time; the kubelet has one. */
const MAX_WATCHERS = 4;

type Watcher = ServerWritableStream<unknown, { devices: readonly Device[] }>;

/** Offers the scanouts of this machine to the kubelet from start() to close(), through restarts of the kubelet. */
export class ScanoutPlugin {
  readonly #pool: ScanoutPool;
  readonly #watchers = new Set<Watcher>();
  /** Those that do not read at present; they are told the newest when they do. */
  readonly #behind = new Set<Watcher>();
  readonly #backoff = new Backoff(200, 10_000);
  #server: Server | undefined;
  #folderWatch: FSWatcher | undefined;
  /** Identity of the kubelet's socket that we are registered at. */
  #registered = '';
  #retry: NodeJS.Timeout | undefined;
  #checking: Promise<void> = Promise.resolve();
  #closed = false;
  #told = '';

  private constructor(
    private readonly folder: string,
    pool: ScanoutPoolOptions,
    private readonly log: Logger,
  ) {
    this.#pool = new ScanoutPool(pool, () => this.#tell(), log);
  }

  /**
   * Begins to serve; the kubelet may come later.
   * @param folder the kubelet's, with its socket `kubelet.sock`
   * @throws when the folder does not exist or may not be watched
   */
  static start(folder: string, pool: ScanoutPoolOptions, log: Logger): ScanoutPlugin {
    const plugin = new ScanoutPlugin(folder, pool, log);
    try {
      // A kubelet that starts empties the folder, then makes its socket.
      plugin.#folderWatch = watch(folder, () => plugin.#check());
      plugin.#folderWatch.on('error', (error) => log.error(`cannot watch ${folder}: ${error}`));
    } catch (error) {
      void plugin.close();
      throw error;
    }
    plugin.#check();
    return plugin;
  }

  /** Ends serving; leases stay with their containers. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#folderWatch?.close();
    await this.#checking;
    await this.#pool.close();
    this.#stopServing();
    await rm(join(this.folder, ENDPOINT), { force: true });
  }

  /** Looks, after the looks that were asked for before, whether the kubelet is another one. */
  #check(): void {
    this.#checking = this.#checking.then(async () => {
      if (this.#closed) return;
      clearTimeout(this.#retry);
      try {
        await this.#ensure();
        this.#told = '';
        this.#backoff.reset();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== this.#told) this.log.warn(`not registered with the kubelet: ${reason}`);
        this.#told = reason;
        this.#retry = setTimeout(() => this.#check(), this.#backoff.next());
      }
    });
  }

  async #ensure(): Promise<void> {
    const kubelet = await identity(join(this.folder, KUBELET));
    if (kubelet === undefined) {
      this.#registered = '';
      throw new Error(`there is no ${join(this.folder, KUBELET)}; is the kubelet running?`);
    }
    const ours = await identity(join(this.folder, ENDPOINT));
    if (ours !== undefined && this.#server && kubelet === this.#registered) return;
    this.#registered = '';
    await this.#serve();
    await this.#register();
    this.#registered = kubelet;
    this.log.info({ resource: SCANOUT_KIND }, 'registered with the kubelet');
  }

  async #serve(): Promise<void> {
    this.#stopServing();
    const path = join(this.folder, ENDPOINT);
    await rm(path, { force: true });
    const server = new Server({ 'grpc.max_receive_message_length': MAX_MESSAGE });
    const unsupported = (_: unknown, done: sendUnaryData<unknown>) =>
      done({ code: status.UNIMPLEMENTED, details: 'this plugin did not offer that' });
    server.addService(DevicePlugin.service, {
      GetDevicePluginOptions: (_: unknown, done: sendUnaryData<unknown>) => done(null, {}),
      ListAndWatch: (call: Watcher) => this.#onWatch(call),
      Allocate: (
        call: ServerUnaryCall<AllocateRequest, AllocateResponse>,
        done: sendUnaryData<AllocateResponse>,
      ) => void this.#allocate(call.request).then((answer) => done(null, answer), done),
      GetPreferredAllocation: unsupported,
      PreStartContainer: unsupported,
    });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    this.#server = server;
    await chmod(path, 0o600);
  }

  #stopServing(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#watchers.clear();
    this.#behind.clear();
  }

  #register(): Promise<void> {
    const address = `unix:${join(this.folder, KUBELET)}`;
    const client = new Registration(address, credentials.createInsecure());
    const request = {
      version: API_VERSION,
      endpoint: ENDPOINT,
      resourceName: SCANOUT_KIND,
      options: { preStartRequired: false, getPreferredAllocationAvailable: false },
    };
    const deadline = new Date(Date.now() + REGISTER_LIMIT);
    return new Promise<void>((resolve, reject) => {
      client.Register(request, { deadline }, (error) => (error ? reject(error) : resolve()));
    }).finally(() => client.close());
  }

  #onWatch(call: Watcher): void {
    if (this.#watchers.size >= MAX_WATCHERS) {
      call.destroy(
        Object.assign(new Error(`${MAX_WATCHERS} streams are open`), {
          code: status.RESOURCE_EXHAUSTED,
        }),
      );
      return;
    }
    this.#watchers.add(call);
    const forget = () => {
      this.#watchers.delete(call);
      this.#behind.delete(call);
    };
    call.on('cancelled', forget).on('close', forget).on('error', forget);
    call.write({ devices: this.#pool.devices });
  }

  /** Each message has all devices, so a slow reader loses nothing when one is left out. */
  #tell(): void {
    for (const call of this.#watchers) {
      if (this.#behind.has(call)) continue;
      if (call.write({ devices: this.#pool.devices })) continue;
      this.#behind.add(call);
      call.once('drain', () => {
        this.#behind.delete(call);
        call.write({ devices: this.#pool.devices });
      });
    }
  }

  async #allocate({ containerRequests }: AllocateRequest): Promise<AllocateResponse> {
    const made: string[] = [];
    try {
      const containerResponses = [];
      for (const { deviceIds } of containerRequests) {
        const [id, ...more] = deviceIds;
        if (id === undefined || more.length > 0) {
          throw failure(
            status.INVALID_ARGUMENT,
            `a container takes one scanout, not ${deviceIds.length}: set ${SCANOUT_KIND}: 1 in its limits`,
          );
        }
        const name = await this.#pool.allocate(id);
        made.push(id);
        containerResponses.push({ cdiDevices: [{ name }] });
        this.log.info({ device: id, cdi: name }, 'leased for a container');
      }
      return { containerResponses };
    } catch (error) {
      for (const id of made) {
        await this.#pool.release(id).catch((e: Error) => this.log.error({ device: id }, e.message));
      }
      if (typeof (error as { code: unknown }).code === 'number') throw error;
      const reason = error instanceof Error ? error.message : String(error);
      this.log.error(`no scanout for a container: ${reason}`);
      throw failure(status.FAILED_PRECONDITION, reason);
    }
  }
}

function failure(code: status, details: string) {
  return Object.assign(new Error(details), { code, details });
}

/** Which file a path leads to; undefined: none. A socket that was made anew is another file. */
async function identity(path: string): Promise<string | undefined> {
  const file = await stat(path, { bigint: true }).catch(() => undefined);
  return file && `${file.dev}:${file.ino}:${file.ctimeNs}`;
}
