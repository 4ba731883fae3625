// SPDX-License-Identifier: Apache-2.0
// Input events, and how Mutter's RemoteDesktop interface takes them.
#ifndef SCANBRIDGE_GUEST_SCREENCAST_INPUT_H_
#define SCANBRIDGE_GUEST_SCREENCAST_INPUT_H_

#include <gio/gio.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace scanbridge::guest {

/// Position in pixels of the cast's picture.
struct MotionEvent {
  double x;
  double y;
};
/// Codes are those of linux/input-event-codes.h.
struct ButtonEvent {
  uint32_t code;
  bool pressed;
};
struct KeyEvent {
  uint32_t code;
  bool pressed;
};
/// Pixels to the right and down; `discrete`: of a wheel, 120 units a step.
struct AxisEvent {
  double dx;
  double dy;
  bool discrete;
};
struct TouchEvent {
  enum class Phase { kDown, kMotion, kUp };
  uint32_t slot;
  Phase phase;
  double x;
  double y;
};
using InputEvent = std::variant<MotionEvent, ButtonEvent, KeyEvent, AxisEvent, TouchEvent>;

/// A method of org.gnome.Mutter.RemoteDesktop.Session; `arguments` is floating.
struct InputCall {
  const char* method;
  GVariant* arguments;
};

/// Turns events into calls; keeps what is left of a wheel's step.
class MutterInput {
 public:
  /// `stream`: object path of the cast that positions refer to.
  explicit MutterInput(std::string stream) : stream_(std::move(stream)) {}

  std::vector<InputCall> Translate(const InputEvent& event);

 private:
  std::vector<InputCall> Axis(const AxisEvent& event);

  const std::string stream_;
  double wheel_x_ = 0;
  double wheel_y_ = 0;
};

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SCREENCAST_INPUT_H_
