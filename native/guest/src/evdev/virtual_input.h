// SPDX-License-Identifier: Apache-2.0
// Input devices that exist only in the kernel (uinput), for the desktop on one lease.
#ifndef SCANBRIDGE_GUEST_EVDEV_VIRTUAL_INPUT_H_
#define SCANBRIDGE_GUEST_EVDEV_VIRTUAL_INPUT_H_

#include <cstdint>
#include <span>
#include <string>

#include "scanbridge/surface/unique_fd.h"

namespace scanbridge::guest {

/// Range of the absolute axes: 0 to this, whatever the size of the display.
inline constexpr int32_t kAxisMax = 65535;
inline constexpr int kTouchSlots = 16;

enum class VirtualInputKind : uint8_t {
  /// Absolute pointer with buttons and wheels, as QEMU's tablet is one.
  kPointer,
  kKeyboard,
  kTouch,
};

struct VirtualInput {
  /// Of /dev/uinput; the device is removed when it is closed.
  UniqueFd fd;
  /// "/dev/input/event5"
  std::string node;
};

struct InputValue {
  uint16_t type;
  uint16_t code;
  int32_t value;
};

/// Throws std::system_error.
VirtualInput CreateVirtualInput(VirtualInputKind kind, const std::string& name,
                                const std::string& phys);

/// Writes events and a SYN_REPORT, all or nothing of them; throws std::system_error.
void WriteInput(int fd, std::span<const InputValue> values);

/// Takes an open /dev/input/event* from all who share this open file. Throws std::system_error.
void RevokeInput(int fd);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_EVDEV_VIRTUAL_INPUT_H_
