/** Why a test VM could not be built, booted or used. */
export type VmErrorCode =
  | 'BAD_OPTION'
  | 'BUILD_FAILED'
  | 'QEMU_MISSING'
  | 'QEMU_DIED'
  | 'BOOT_TIMEOUT'
  | 'CHANNEL_BROKEN'
  | 'GUEST_RESET'
  | 'GUEST_CLOSED'
  | 'EXEC_FAILED'
  | 'EXEC_TIMEOUT'
  | 'QMP_FAILED';

/** An error of the test VM. Its message says what happened, and what can be done about it. */
export class VmError extends Error {
  readonly code: VmErrorCode;
  /** Of `EXEC_FAILED`: the guest's errno, for example 2 (ENOENT). */
  readonly errno: number | undefined;

  constructor(code: VmErrorCode, message: string, options?: ErrorOptions & { errno?: number }) {
    super(message, options);
    this.name = 'VmError';
    this.code = code;
    this.errno = options?.errno;
  }
}
