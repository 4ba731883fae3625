// Who holds the scanouts of a virtual machine, as its agent says, checked against what QEMU's exporter sees. The agent runs
// in the guest and is not trusted: it may switch the scanouts of its own VM, as the guest may anyway, and put names on them.
import type { FromAgent, ToAgent } from '@scanbridge/protocol/agent';
import { ScanoutFlag, type ScanoutInfo } from '@scanbridge/protocol/surface';
import type { InputEvent } from '@scanbridge/protocol/viewer';

/** What an agent says about leases. */
export type LeaseMessage = Extract<
  FromAgent,
  { type: 'scanout-configure' | 'lease-claim' | 'lease-release' }
>;
type Claim = Extract<FromAgent, { type: 'lease-claim' }>;

/** Whoever says so. */
export interface LeaseAgent {
  send(message: ToAgent): void;
}

/** A lease as the session list shows it. */
export interface LeaseReport {
  readonly id: string;
  readonly owner: string;
  /**
   * `confirmed`: the exporter sees a picture of the claimed size. `pending`: a display is connected, and nothing is drawn
   * yet. `contradicted`: the exporter sees something else.
   */
  readonly check: 'confirmed' | 'pending' | 'contradicted';
  /** Why it is not confirmed. */
  readonly reason?: string;
}

interface Held {
  readonly agent: LeaseAgent;
  claim?: Claim;
}

/** The leases of one VM's GPU. */
export class ScanoutLeases {
  readonly #held = new Map<number, Held>();
  readonly #seen = new Map<number, ScanoutInfo>();

  /**
   * The agent is about to use a scanout.
   * @returns why it may not; undefined: it may
   */
  take(agent: LeaseAgent, scanout: number): string | undefined {
    const held = this.#held.get(scanout);
    if (held && held.agent !== agent) return `scanout ${scanout} is another agent's`;
    if (!held) this.#held.set(scanout, { agent });
    return undefined;
  }

  /** The agent's display is gone. */
  drop(agent: LeaseAgent, scanout: number): void {
    if (this.#held.get(scanout)?.agent === agent) this.#held.delete(scanout);
  }

  /** @returns why the claim is not taken; undefined: it is */
  claim(agent: LeaseAgent, claim: Claim): string | undefined {
    for (const [scanout, { claim: other }] of this.#held) {
      if (other?.lease === claim.lease && scanout !== claim.scanout) {
        return `lease ${claim.lease} has scanout ${scanout} already`;
      }
    }
    const refusal = this.take(agent, claim.scanout);
    if (refusal !== undefined) return refusal;
    const held = this.#held.get(claim.scanout) as Held;
    if (held.claim && held.claim.lease !== claim.lease) {
      return `scanout ${claim.scanout} has lease ${held.claim.lease} already`;
    }
    held.claim = claim;
    return undefined;
  }

  release(agent: LeaseAgent, lease: string): void {
    for (const held of this.#held.values()) {
      if (held.agent === agent && held.claim?.lease === lease) delete held.claim;
    }
  }

  /** All that an agent said is void: it is gone. */
  forget(agent: LeaseAgent): void {
    for (const [scanout, held] of this.#held) {
      if (held.agent === agent) this.#held.delete(scanout);
    }
  }

  /** The guest was reset: there are no leases. */
  reset(): void {
    this.#held.clear();
    this.#seen.clear();
  }

  /** What the exporter sees. */
  observe(info: ScanoutInfo): void {
    this.#seen.set(info.scanout, info);
  }

  /** Whether a scanout is an agent's. */
  has(scanout: number): boolean {
    return this.#held.has(scanout);
  }

  /** The lease on a scanout, if one is claimed. */
  report(scanout: number): LeaseReport | undefined {
    const claim = this.#held.get(scanout)?.claim;
    if (!claim) return undefined;
    return { id: claim.lease, owner: claim.owner, ...this.#check(claim) };
  }

  /** Passes a viewer's wish for another size on. @returns whether there is somebody to ask */
  resize(scanout: number, width: number, height: number): boolean {
    return this.#tell(scanout, (lease) => ({ type: 'lease-resize', lease, width, height }));
  }

  /** Asks the agent to end a lease. @returns whether there is one */
  end(scanout: number): boolean {
    const message = 'its session was ended at the bridge';
    return this.#tell(scanout, (lease) => ({ type: 'lease-end', lease, message }));
  }

  /** Passes a viewer's input on; without a lease it is dropped. */
  input(scanout: number, events: readonly InputEvent[]): void {
    this.#tell(scanout, (lease) => ({ type: 'lease-input', lease, events: [...events] }));
  }

  #tell(scanout: number, message: (lease: string) => ToAgent): boolean {
    const held = this.#held.get(scanout);
    if (!held?.claim) return false;
    held.agent.send(message(held.claim.lease));
    return true;
  }

  #check(claim: Claim): Pick<LeaseReport, 'check' | 'reason'> {
    const seen = this.#seen.get(claim.scanout);
    if (!seen || (seen.flags & ScanoutFlag.ENABLED) === 0) {
      return { check: 'contradicted', reason: 'no display is connected to this scanout' };
    }
    if ((seen.flags & ScanoutFlag.ACTIVE) === 0) {
      return { check: 'pending', reason: 'nothing is drawn on it yet' };
    }
    if (seen.width === claim.width && seen.height === claim.height) return { check: 'confirmed' };
    const reason = `the agent says ${claim.width}x${claim.height}, QEMU shows ${seen.width}x${seen.height}`;
    return { check: 'contradicted', reason };
  }
}
