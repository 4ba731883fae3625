// A network between a guest and this machine, for the peers that send over TCP: passt, which needs no rights and is
// faster than QEMU's own user-mode network (slirp), so the comparison does not flatter Scanbridge.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Guest } from '@scanbridge/test/vm/guest';

/** What leads to this machine's 127.0.0.1, as the guest sees it. */
export const HOST = '10.0.2.2';
const GUEST = '10.0.2.15';
const START_LIMIT_MS = 5000;

/** Perl is in every Debian, `ip` is not: SIOCSIFADDR, SIOCSIFNETMASK, then SIOCSIFFLAGS with IFF_UP and IFF_RUNNING. */
const CONFIGURE = `
use Socket;
my ($name) = grep { $_ ne "lo" } map { s,.*/,,r } glob "/sys/class/net/*";
socket(my $s, AF_INET, SOCK_DGRAM, 0) or die;
sub set { ioctl($s, $_[0], pack("a16 S n a4 x8", $name, AF_INET, 0, inet_aton($_[1]))) or die "$_[0]: $!" }
set(0x8916, "${GUEST}");
set(0x891c, "255.255.255.0");
ioctl($s, 0x8914, pack("a16 s x22", $name, 0x41)) or die "up: $!";
`;

/** passt and its socket; QEMU connects to it as it starts. */
export class GuestNetwork implements AsyncDisposable {
  private constructor(
    private readonly passt: ChildProcess,
    private readonly folder: string,
  ) {}

  /** @throws Error when passt is not installed */
  static async start(): Promise<GuestNetwork> {
    const folder = await mkdtemp(join(tmpdir(), 'sb-net-'));
    // passt gives root's rights up before it makes its socket.
    await chmod(folder, 0o777);
    const socket = join(folder, 's');
    const address = ['--address', GUEST, '--netmask', '255.255.255.0', '--gateway', HOST];
    const args = ['--foreground', '--quiet', '--ipv4-only', '--socket', socket, ...address];
    const passt = spawn('passt', args, { stdio: 'ignore' });
    const network = new GuestNetwork(passt, folder);
    const failed = new Promise<string>((resolve) => {
      passt.once('error', ({ message }) => resolve(message));
      passt.once('exit', (code) => resolve(`it ended with ${code}`));
    });
    const end = Date.now() + START_LIMIT_MS;
    while (!existsSync(socket)) {
      const why = await Promise.race([failed, sleep(20)]);
      if (why !== undefined || Date.now() > end) {
        await network[Symbol.asyncDispose]();
        throw new Error(`passt does not run (${why ?? 'no socket'}): apt-get install passt`);
      }
    }
    return network;
  }

  get qemuArgs(): string[] {
    const peer = `addr.type=unix,addr.path=${join(this.folder, 's')}`;
    return [
      ...['-netdev', `stream,id=net0,server=off,${peer}`],
      ...['-device', 'virtio-net-pci,netdev=net0'],
    ];
  }

  /** Gives the guest its address. */
  async configure(guest: Guest): Promise<void> {
    const script = 'modprobe virtio_net && perl -e "$0"';
    const { status, stderr } = await guest.exec(['sh', '-c', script, CONFIGURE]);
    if (status !== 0) throw new Error(`the guest has no network: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.passt.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}
