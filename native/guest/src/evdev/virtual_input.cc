// SPDX-License-Identifier: Apache-2.0
#include "evdev/virtual_input.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <sys/ioctl.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <vector>

#include "lease/system_error.h"

namespace scanbridge::guest {
namespace {

/// SYN_REPORT included.
constexpr size_t kMaxValues = 64;
constexpr uint16_t kVendor = 0x5342;

void Allow(int fd, unsigned long request, int value) {
  if (ioctl(fd, request, value) < 0) ThrowErrno("cannot describe an input device");
}

void AllowAxis(int fd, uint16_t code, int32_t maximum) {
  uinput_abs_setup setup{};
  setup.code = code;
  setup.absinfo.maximum = maximum;
  if (ioctl(fd, UI_ABS_SETUP, &setup) < 0) ThrowErrno("cannot describe an input device");
}

void DescribePointer(int fd) {
  for (const int type : {EV_KEY, EV_REL, EV_ABS}) Allow(fd, UI_SET_EVBIT, type);
  for (int button = BTN_LEFT; button <= BTN_TASK; button++) Allow(fd, UI_SET_KEYBIT, button);
  for (const int wheel : {REL_WHEEL, REL_HWHEEL, REL_WHEEL_HI_RES, REL_HWHEEL_HI_RES}) {
    Allow(fd, UI_SET_RELBIT, wheel);
  }
  AllowAxis(fd, ABS_X, kAxisMax);
  AllowAxis(fd, ABS_Y, kAxisMax);
}

void DescribeKeyboard(int fd) {
  Allow(fd, UI_SET_EVBIT, EV_KEY);
  // What lies between are buttons of mice, joysticks and tablets: with them it would be taken for
  // one.
  for (int key = KEY_ESC; key < BTN_MISC; key++) Allow(fd, UI_SET_KEYBIT, key);
  for (int key = KEY_OK; key < BTN_DPAD_UP; key++) Allow(fd, UI_SET_KEYBIT, key);
}

void DescribeTouch(int fd) {
  for (const int type : {EV_KEY, EV_ABS}) Allow(fd, UI_SET_EVBIT, type);
  Allow(fd, UI_SET_KEYBIT, BTN_TOUCH);
  Allow(fd, UI_SET_PROPBIT, INPUT_PROP_DIRECT);
  AllowAxis(fd, ABS_X, kAxisMax);
  AllowAxis(fd, ABS_Y, kAxisMax);
  AllowAxis(fd, ABS_MT_SLOT, kTouchSlots - 1);
  AllowAxis(fd, ABS_MT_TRACKING_ID, kAxisMax);
  AllowAxis(fd, ABS_MT_POSITION_X, kAxisMax);
  AllowAxis(fd, ABS_MT_POSITION_Y, kAxisMax);
}

/// The node of the device that `fd` has made.
std::string NodeOf(int fd) {
  std::array<char, 64> name{};
  if (ioctl(fd, UI_GET_SYSNAME(name.size() - 1), name.data()) < 0) {
    ThrowErrno("cannot find an input device that was made");
  }
  const std::string folder = std::string("/sys/class/input/") + name.data();
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(folder.c_str()), closedir);
  if (directory) {
    while (const dirent* entry = readdir(directory.get())) {
      const std::string_view child = entry->d_name;
      if (child.starts_with("event")) return "/dev/input/" + std::string(child);
    }
  }
  ThrowErrno("the kernel has no evdev for an input device: is the module loaded?", ENODEV);
}

}  // namespace

VirtualInput CreateVirtualInput(VirtualInputKind kind, const std::string& name,
                                const std::string& phys) {
  VirtualInput device;
  device.fd.reset(open("/dev/uinput", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const int fd = device.fd.get();
  if (fd < 0) ThrowErrno("cannot open /dev/uinput (is the kernel module uinput loaded?)");
  switch (kind) {
    case VirtualInputKind::kPointer:
      DescribePointer(fd);
      break;
    case VirtualInputKind::kKeyboard:
      DescribeKeyboard(fd);
      break;
    case VirtualInputKind::kTouch:
      DescribeTouch(fd);
      break;
  }
  uinput_setup setup{};
  setup.id.bustype = BUS_VIRTUAL;
  setup.id.vendor = kVendor;
  setup.id.product = static_cast<uint16_t>(kind);
  name.copy(setup.name, sizeof setup.name - 1);
  if (ioctl(fd, UI_SET_PHYS, phys.c_str()) < 0 || ioctl(fd, UI_DEV_SETUP, &setup) < 0 ||
      ioctl(fd, UI_DEV_CREATE) < 0) {
    ThrowErrno("cannot make an input device");
  }
  device.node = NodeOf(fd);
  return device;
}

void WriteInput(int fd, std::span<const InputValue> values) {
  if (values.empty() || values.size() >= kMaxValues) {
    ThrowErrno("a report has 1 to 63 values", EINVAL);
  }
  std::array<input_event, kMaxValues> events{};
  size_t count = 0;
  for (const InputValue& value : values) {
    events[count].type = value.type;
    events[count].code = value.code;
    events[count++].value = value.value;
  }
  events[count].type = EV_SYN;
  events[count++].code = SYN_REPORT;
  const size_t size = count * sizeof(input_event);
  if (write(fd, events.data(), size) != static_cast<ssize_t>(size)) {
    ThrowErrno("cannot write to an input device");
  }
}

void RevokeInput(int fd) {
  if (ioctl(fd, EVIOCREVOKE, nullptr) < 0 && errno != ENODEV) {
    ThrowErrno("cannot revoke an input device");
  }
}

}  // namespace scanbridge::guest
