// A guest with a screen cast, an agent, and a bridge in front of them: what the tests and the benchmark of resource ids share.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bridge, type BridgeOptions, startBridge } from '@scanbridge/bridge';
import { Guest, type GuestOptions } from './guest.js';
import { AgentDisk, GuestAgent, GuestDesktop, type GuestProgram } from './guest-agent.js';
import { LinkMeter } from './link-meter.js';

const PORT = 8471;

/** Memory of the painter's pictures; see guest/pw-paint.c. */
export type PaintedMemory = 'dumb' | 'gbm' | 'vgem' | 'memfd';

/** A VM whose agent reaches a bridge through a link that is counted. */
export class ResourceDesk implements AsyncDisposable {
  private constructor(
    readonly guest: Guest,
    readonly agent: GuestAgent,
    readonly desktop: GuestDesktop,
    readonly link: LinkMeter,
    private readonly disk: AgentDisk,
    private readonly folder: string,
  ) {}

  static async start(options: GuestOptions = {}): Promise<ResourceDesk> {
    const folder = await mkdtemp(join(tmpdir(), 'sb-ids-'));
    const disk = await AgentDisk.make();
    const guest = await Guest.boot({
      ...options,
      frameExport: true,
      qemuArgs: [
        ...disk.qemuArgs,
        ...['-device', `virtio-vsock-unix-pci,guest-cid=3,path=${join(folder, 'v')}`],
        ...(options.qemuArgs ?? []),
      ],
    });
    const link = await LinkMeter.listen(join(folder, `v_${PORT}`), join(folder, `b_${PORT}`));
    const agent = await GuestAgent.install(guest);
    const desktop = await GuestDesktop.start(guest);
    return new ResourceDesk(guest, agent, desktop, link, disk, folder);
  }

  /** Where the bridge takes this VM's agents; another agent of the VM may come here, too. */
  get agentSocket(): string {
    return join(this.folder, `b_${PORT}`);
  }

  startBridge(options: BridgeOptions = {}): Promise<Bridge> {
    const vm = { name: 'vm0', exporter: this.guest.framesSocket };
    const base = join(this.folder, 'b');
    const agents = [{ kind: 'vsock-unix', base, port: PORT, vm }] as const;
    return startBridge({ agents, ...options });
  }

  /** A painter in the guest; its node is there when this resolves. */
  async paint(
    size: string,
    memory: PaintedMemory,
    ...more: string[]
  ): Promise<{ program: GuestProgram; node: number }> {
    const program = await this.desktop.run('pw-paint', size, memory, ...more);
    const [, node] = await program.says(/"state":"paused","node":(\d+)/);
    return { program, node: Number(node) };
  }

  /** The agent, with the screen cast of a node. */
  show(node: number): Promise<GuestProgram> {
    const bridge = `vsock:2:${PORT}`;
    return this.agent.start(
      this.desktop.environment,
      'run',
      '--bridge',
      bridge,
      '--node',
      `${node}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest.close();
    await this.link[Symbol.asyncDispose]();
    await this.disk[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
