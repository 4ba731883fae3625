// What agents say about leases, for the virtual machine that each runs in.
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { reasonOf } from '../errors.js';
import type { LeaseMessage } from '../sources/scanout-leases.js';
import type { ScanoutSource } from '../sources/scanouts.js';
import type { AgentConnection } from './connection.js';

/** Whether it is for the desk. */
export function isLeaseMessage(message: { type: string }): message is LeaseMessage {
  return message.type.startsWith('lease-') || message.type === 'scanout-configure';
}

/** Answers each message; holds nothing of its own. */
export class LeaseDesk {
  /** @param vms virtual machines of this bridge */
  constructor(
    private readonly vms: () => readonly ScanoutSource[],
    private readonly log: Logger,
  ) {}

  message(connection: AgentConnection, message: LeaseMessage): void {
    const vm = this.#vmOf(connection);
    if (message.type === 'lease-release') vm?.leases.release(connection, message.lease);
    else if (message.type === 'lease-claim') this.#claim(connection, vm, message);
    else void this.#configure(connection, vm, message);
  }

  /** The agent went away; its displays stay, so that it finds them when it comes back. */
  gone(connection: AgentConnection): void {
    for (const vm of this.vms()) vm.leases.forget(connection);
  }

  /** The VM in which an agent runs, as the bridge was told which way leads to which VM: never as the agent says. */
  #vmOf({ vm }: AgentConnection): ScanoutSource | undefined {
    return vm && this.vms().find(({ socket }) => resolve(socket) === resolve(vm.exporter));
  }

  #claim(
    connection: AgentConnection,
    vm: ScanoutSource | undefined,
    claim: Extract<LeaseMessage, { type: 'lease-claim' }>,
  ): void {
    const refusal = reasonAgainst(vm, claim.device) ?? vm?.leases.claim(connection, claim);
    if (refusal === undefined) return;
    this.log.warn({ agent: connection.id, lease: claim.lease }, `a claim is refused: ${refusal}`);
    connection.send({ type: 'lease-refused', lease: claim.lease, message: refusal.slice(0, 512) });
  }

  async #configure(
    connection: AgentConnection,
    vm: ScanoutSource | undefined,
    { serial, device, scanout, mode }: Extract<LeaseMessage, { type: 'scanout-configure' }>,
  ): Promise<void> {
    try {
      const refusal = reasonAgainst(vm, device) ?? vm?.leases.take(connection, scanout);
      if (refusal !== undefined) throw new Error(refusal);
      await vm?.configure(scanout, mode);
      if (!mode) vm?.leases.drop(connection, scanout);
      connection.send({ type: 'scanout-configured', serial });
    } catch (error) {
      const message = reasonOf(error);
      this.log.warn({ agent: connection.id, scanout }, `scanout not switched: ${message}`);
      connection.send({ type: 'scanout-refused', serial, message: message.slice(0, 512) });
    }
  }
}

function reasonAgainst(vm: ScanoutSource | undefined, device: number): string | undefined {
  if (!vm) {
    return "the bridge does not know this VM's scanouts; start it with --scanout SOCKET and --vm NAME,exporter=SOCKET,vsock=BASE";
  }
  if (device === 0) return undefined;
  return `the bridge has the first GPU of ${vm.name} only, not number ${device}`;
}
